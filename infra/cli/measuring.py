"""`weir measure`: runs the batches now, and rebuilds a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from functions.measure.service import Measured

_RUN_SECONDS = 3_600.0
_LAST_SECOND = 2**32 - 1


def register(app: typer.Typer) -> None:
    app.command()(measure)


def measure(
    since: Annotated[str, typer.Option("--from", help="Compute all from here on anew: RFC 3339.")] = "",
    until: Annotated[str, typer.Option("--to", help="And up to here, not included.")] = "",
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="How long to wait for one's turn.")] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Run the scheduled batches now: sessions, metrics, and what becomes of them.

    It waits for its turn, and ends when every event that could be seen when it began is in. With --from or --to all of
    that range is computed anew; the result is what the schedule would have come to.

    It works on the stores that WEIR_CLICKHOUSE_URL and WEIR_QUESTDB_URL name, those of `weir up` unless said otherwise.

    Examples:

    \b
    weir measure
    weir measure --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z
    weir measure --json | jq .counts
    """
    from infra.cli import client

    with client.telling():
        done = _run(second("--from", since), second("--to", until, up=True), wait_seconds)
        if done.state == "busy":
            raise client.CommandError("Another run has the turn; try again, or wait longer with --wait.")
        if as_json:
            client.show_json(done._asdict())
        else:
            _show(done)
        if done.state != "done":
            client.fail(done.detail or "The run ended before all was in; run it again.")


def _run(since: int | None, until: int | None, wait_seconds: float) -> Measured:
    from functions.measure.service import Range
    from functions.shared.errors import Misconfigured, Retry
    from functions.shared.wiring import measure_service
    from infra.cli import client

    if since is not None and until is not None and since >= until:
        raise client.CommandError("--from must be before --to.")
    rebuild = None if since is None and until is None else Range(since, until)
    try:
        return measure_service(at_once=True).run(_RUN_SECONDS, wait_seconds, rebuild, sweep=True)
    except Retry as error:
        raise client.CommandError(error.detail) from error
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error


def second(option: str, text: str, *, up: bool = False) -> int | None:
    """A time as seconds since 1970: the second it lies in, or the end of that (``up``). None where none was given."""
    from functions.shared.domain import instants
    from infra.cli import client

    if not text:
        return None
    try:
        at = instants.from_text(text)
    except ValueError:
        raise client.CommandError(f"{option}: {text!r} is no RFC 3339 time, such as 2026-01-31T00:00:00Z.") from None
    found = -(-at // instants.SECOND) if up else at // instants.SECOND
    return min(max(0, found), _LAST_SECOND)


def _show(done: Measured) -> None:
    count = done.counts.get
    print(f"judged: {count('windows_judged', 0):,} windows anew, {count('anomalies', 0):,} anomalies among them")
    spent = ", ".join(f"{name} {spent / 1000:.1f}" for name, spent in done.step_ms.items())
    print(f"{count('events', 0):,} events looked at, {count('sessions', 0):,} sessions computed")
    print(f"written to QuestDB: {count('exported', 0):,} sessions, {count('metric_rows', 0):,} values of metrics")
    print(f"took {sum(done.step_ms.values()) / 1000:.1f} s ({spent})")
