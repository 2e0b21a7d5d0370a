"""`weir erase`: removes a person from both stores, and gives a receipt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from functions.measure.erasing.erasures import Erasure

_RUN_SECONDS, _WAIT_SECONDS = 3_600.0, 600.0


def register(app: typer.Typer) -> None:
    app.command()(erase)


def erase(
    user: Annotated[str, typer.Option("--user", help="The user: the id as it was sent, or its UUID.")],
    anonymous_ids: Annotated[
        list[str] | None, typer.Option("--anonymous-id", help="A device that is to go with them; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what there is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Erase a person: from every table, dead letter and row, and from sessions and metrics.

    It ends when nothing of theirs is on the disk any more. From its beginning on their events are refused. It cannot be
    undone. Killed, it is gone on with when it is run again, or by the schedule.

    It works on the stores that WEIR_CLICKHOUSE_URL and WEIR_QUESTDB_URL name, those of `weir up` unless said otherwise.

    Examples:

    \b
    weir erase --user ada@example.com --dry-run
    weir erase --user ada@example.com --yes --json > receipt.json
    """
    from infra.cli import client

    with client.telling():
        if dry_run:
            _show_counts(_asked(lambda: _preview(user, anonymous_ids or [])), as_json)
            return
        if not yes and not typer.confirm("Everything of this person will be removed for good. Go on?"):
            raise typer.Exit(1)
        receipt = _asked(lambda: _carry_out(user, anonymous_ids or [], as_json))
        if as_json:
            client.show_json(receipt)
        else:
            _show(receipt)


def _preview(user: str, anonymous_ids: list[str]) -> dict[str, int]:
    from functions.shared import wiring

    return wiring.eraser(_RUN_SECONDS, _WAIT_SECONDS).preview(user, anonymous_ids)


def _carry_out(user: str, anonymous_ids: list[str], quietly: bool) -> dict[str, Any]:
    from functions.shared import wiring

    def tell(erasure: Erasure) -> None:
        if not quietly:
            typer.echo(f"{erasure.state}: {sum(erasure.before.values()):,} rows found so far", err=True)

    erasures = wiring.erasures()
    asked = erasures.ask(user, anonymous_ids)
    return erasures.receipt(wiring.eraser(_RUN_SECONDS, _WAIT_SECONDS).carry_out(asked, tell))


def _asked(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from functions.shared.errors import Misconfigured, Reject, Retry
    from infra.cli import client

    try:
        return question()
    except (Reject, Retry) as error:
        raise client.CommandError(error.detail) from error
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error


def _show_counts(counts: dict[str, int], as_json: bool) -> None:
    from infra.cli import client

    if as_json:
        client.show_json({"dry_run": True, "places": [{"place": name, "before": n} for name, n in counts.items()]})
        return
    for place, count in counts.items():
        print(f"{place:<22} {count:>12,}")


def _show(receipt: dict[str, Any]) -> None:
    print(f"erasure {receipt['erasure_id']}, done at {receipt['finished_at']}")
    print(f"{'place':<22} {'before':>12} {'after':>12}")
    for one in receipt["places"]:
        print(f"{one['place']:<22} {one['before']:>12,} {one['after']:>12,}")
    for where in ("queue", "backups"):
        print(f"{where}, until {receipt[where]['until']}: {receipt[where]['about']}")
    for kept in receipt["kept"]:
        print(f"kept: {kept}")
