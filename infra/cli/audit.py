"""`weir audit`: whether all that was received is where the ledger says, and which events are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from functions.measure.ledger.audit import Audited

_SHOWN = 1_000
_LAST_MINUTE = (2**32 - 1) // 60


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    since: Annotated[str, typer.Option("--from", help="From here on: RFC 3339. A day back unless given.")] = "",
    until: Annotated[
        str, typer.Option("--to", help="Up to here, the minute whole. Five minutes ago unless given.")
    ] = "",
    most: Annotated[int, typer.Option("--most", min=1, help="How many events are named at most.")] = _SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Compare the ledger with what is in the stores, and name the events that differ.

    What the broker acknowledged, what was recorded, and what stands are compared minute by minute and key by key; where
    they differ, event by event. Exit status 1 when something differs.

    What came in the last five minutes may be on its way still, so it is looked at only where --to says so.

    It works on the store that WEIR_CLICKHOUSE_URL names, that of `weir up` unless said otherwise. The ledger goes back
    30 days.

    Examples:

    \b
    weir audit
    weir audit --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --json | jq .findings
    """
    from infra.cli import client

    with client.telling():
        first, last = _range(since, until)
        done = _run(first, last, most)
        if as_json:
            client.show_json(_document(first, last, done))
        else:
            _show(first, last, done)
            if not until:
                print(_not_yet())
            _name(done)
        if done.findings:
            raise typer.Exit(1)


def _range(since: str, until: str) -> tuple[int, int]:
    """Whole minutes: the one in which what was asked for ends among them."""
    import time

    from functions.measure.ledger.audit import DAY_SECONDS
    from functions.measure.ledger.check import SETTLE_SECONDS
    from functions.shared.domain.minutes import MINUTE_SECONDS
    from infra.cli import client
    from infra.cli.measuring import second

    asked = second("--to", until, up=True) or 0
    last = -(-asked // MINUTE_SECONDS) if until else (int(time.time()) - SETTLE_SECONDS) // MINUTE_SECONDS
    # The store knows no later minute.
    last = min(last, _LAST_MINUTE)
    first = (second("--from", since) or 0) // MINUTE_SECONDS if since else last - DAY_SECONDS // MINUTE_SECONDS
    if first >= last:
        raise client.CommandError("--from must be before --to." if until else _too_young())
    return max(0, first) * MINUTE_SECONDS, last * MINUTE_SECONDS


def _run(since: int, until: int, most: int) -> Audited:
    import sys

    from functions.measure.ledger import audit
    from functions.shared.errors import Misconfigured, Retry
    from functions.shared.wiring import measured_store
    from infra.cli import client

    def tell(at: int) -> None:
        if sys.stderr.isatty():
            print(f"up to {_time(at)}", file=sys.stderr)

    try:
        return audit.audit(measured_store(), since, until, most, tell)
    except Retry as error:
        raise client.CommandError(error.detail) from error
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error


def _time(seconds: int) -> str:
    from functions.shared.domain import instants

    return instants.to_text(seconds * instants.SECOND)


def _document(since: int, until: int, done: Audited) -> dict[str, Any]:
    findings = [
        {**one._asdict(), "minute": _time(one.minute), "event_id": one.event_id or None} for one in done.findings
    ]
    account = {**done.account._asdict(), "dropped": dict(done.account.dropped)}
    return {
        "from": _time(since),
        "to": _time(until),
        "account": account,
        "untallied": done.untallied,
        "findings": findings,
        "complete": done.complete,
    }


def _show(since: int, until: int, done: Audited) -> None:
    one, dropped = done.account, sum(done.account.dropped.values())
    print(f"from {_time(since)} to {_time(until)}:")
    print(
        f"{one.received:,} received = {one.stored:,} stored + {one.failed:,} failed + {one.duplicate:,} duplicates"
        f" + {one.erased:,} erased + {dropped:,} dropped + {one.dead:,} dead + {one.in_flight:,} in flight"
    )
    if done.untallied:
        print(f"of {done.untallied:,} only those who recorded them tell: their tallies are on the way, or were lost")


def _not_yet() -> str:
    """Without it an account of nothing reads as if all had been looked at."""
    return f"what came since is not looked at, as it may be on its way still: weir audit --to {_this_minute()} does"


def _too_young() -> str:
    return f"What came in the last five minutes is looked at only where --to asks for it: --to {_this_minute()}."


def _this_minute() -> str:
    import time

    from functions.shared.domain.minutes import MINUTE_SECONDS

    return _time((int(time.time()) // MINUTE_SECONDS + 1) * MINUTE_SECONDS)


def _name(done: Audited) -> None:
    from functions.measure.ledger.audit import MEANING

    for finding in done.findings:
        event = finding.event_id or "an event of unknown id"
        place = f"batch {finding.batch_id}, place {finding.batch_index}"
        print(f"{_time(finding.minute)} {event}: {MEANING[finding.kind]} ({place})")
    if not done.findings:
        print("everything is where the ledger says")
    elif not done.complete:
        print("and more; raise --most, or narrow the range")
