"""`weir trace`: where an event went."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    app.command()(trace)


def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id.", show_default=False)],
    url: Annotated[str, typer.Option(envvar="WEIR_URL", help="Where Weir answers.")] = "http://127.0.0.1:3000",
    key: Annotated[str, typer.Option(envvar="WEIR_KEY", help="The key to read with; on this machine rk_local.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Show the way of one event: accepted, queued, enriched, stored or failed.

    An event that is not stored is still in the queue, or was never sent.

    Example:

    \b
    weir trace 01890a5d-ac96-774b-bcce-b302099a8057
    """
    from uuid import UUID

    from infra.cli import client

    with client.telling():
        try:
            own = str(UUID(event_id))
        except ValueError:
            raise client.CommandError(f"{event_id!r} is no event's id: that is a UUID.") from None
        with client.connect(url, client.own_key(url, key, "rk_local")) as connection:
            content = client.expect(client.ask(connection, "GET", f"/api/v1/events/{own}/trace"))
        if as_json:
            client.show_json(content)
        else:
            _show(content)


def _show(content: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    colour = "red" if content.get("state") == "failed" else "green"
    console.print(f"[bold]{content.get('event_id')}[/] is [{colour}]{content.get('state')}[/]", highlight=False)
    table = Table("stage", "at", "attempt", box=None)
    errors: list[dict[str, Any]] = []
    for stage in content.get("stages", []):
        name = " ".join(part for part in (str(stage.get("stage")), stage.get("host"), stage.get("request_id")) if part)
        table.add_row(name, stage.get("at") or "not known", str(stage.get("attempt", "")))
        errors.extend(stage.get("errors", []))
    console.print(table)
    for one in content.get("attempts", []):
        where = f" on {one['host']}" if one.get("host") else ""
        tried = f", attempt {one['attempt']}" if "attempt" in one else ""
        console.print(f"{one['ended_at']} {one['outcome']}{where}{tried}", highlight=False, markup=False)
    for one in content.get("dead_letters", []):
        console.print(f"{one['at']} given up ({one['state']}): {one['cause']}", highlight=False, markup=False)
    for error in errors:
        place = ".".join(str(part) for part in error.get("loc", []))
        console.print(f"{error.get('code')} {place}: {error.get('message')}", style="red", markup=False)
    console.print(f"batch {content.get('batch_id')}, place {content.get('batch_index')}", highlight=False, markup=False)
    if again := content.get("duplicates"):
        console.print(f"delivered {len(again)} more times, which did not count:")
        for one in again:
            valid = "valid" if one.get("valid") else "not valid"
            console.print(f"  {one.get('received_at')} batch {one.get('batch_id')}, {valid}", markup=False)
