"""`weir status`: the ledger, what waits, and what runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    url: Annotated[str, typer.Option(envvar="WEIR_URL", help="Where Weir answers.")] = "http://127.0.0.1:3000",
    key: Annotated[str, typer.Option(envvar="WEIR_KEY", help="The key to read with.")] = "rk_local",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Show what Weir has received, stored and refused, and what waits.

    For a stack on this machine also its processes and ports.

    Examples:

    \b
    weir status
    weir status --json | jq .api.ledger
    weir status --url https://in.example.org --key rk_…

    The exit status is 0 only when Weir answers and every part of it does.
    """
    from rich.console import Console

    from infra.cli import client

    with client.telling():
        stack = local_stack(url)
        content, wrong = _ask(url, key)
        if as_json:
            client.show_json({"api": content, "stack": stack, "error": wrong or None})
        else:
            console = Console(soft_wrap=True)
            if content:
                _show(content, console)
            if stack:
                _show_stack(stack, console)
        if wrong:
            client.fail(wrong)


def local_stack(url: str) -> dict[str, Any] | None:
    """The processes of the stack on this machine, if it is the one that answers there, or runs at all."""
    from infra.local import state
    from infra.local.paths import ROOT

    try:
        content = state.read(ROOT / ".weir")
    except (OSError, ValueError):
        return None
    if not content or content.get("base_url") != url.rstrip("/"):
        return None
    return {
        "pid": content.get("pid"),
        "services": {
            name: {
                "state": one["state"] if state.birth(one["pid"] or 0) == one["born"] else "gone",
                "pid": one["pid"],
                "port": one["port"],
                "restarts": one["restarts"],
                "log": one["log"],
            }
            for name, one in content.get("services", {}).items()
        },
    }


def _ask(url: str, key: str) -> tuple[dict[str, Any] | None, str]:
    """The API's status, and what is wrong with it in one sentence."""
    from infra.cli import client

    try:
        with client.connect(url, key) as connection:
            content = client.expect(client.ask(connection, "GET", "/api/v1/status"))
    except client.CommandError as error:
        return None, str(error)
    missing = content.get("unavailable") or {}
    return content, "; ".join(f"{name} cannot be had: {why}" for name, why in missing.items())


def _show(content: dict[str, Any], console: Console) -> None:
    ledger, queue, lag = (content.get(name) or {} for name in ("ledger", "queue", "lag"))
    if ledger:
        console.print(
            f"[bold]ledger[/]  {ledger['received']:,} received, {ledger['stored']:,} stored, of which"
            f" {ledger['failed']:,} failed; {ledger['duplicates']:,} duplicates",
            highlight=False,
        )
    if queue:
        console.print(
            f"[bold]queue[/]   {queue['ready']:,} waiting, {queue['in_flight']:,} in hand, {queue['dead']:,} dead",
            highlight=False,
        )
    if lag:
        took = lag.get("stored_after_seconds")
        times = f", stored after {took['p50']:.2f} s (median), {took['p95']:.2f} s (95 of 100)" if took else ""
        console.print(
            f"[bold]lag[/]     {lag['events']:,} events in the last {lag['window_seconds']} s{times}", highlight=False
        )


def _show_stack(stack: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table("service", "state", "pid", "port", "restarts", box=None)
    for name, one in stack["services"].items():
        colour = "green" if one["state"] == "ready" else "red"
        pid, port = (str(one[part] or "") for part in ("pid", "port"))
        table.add_row(name, f"[{colour}]{one['state']}[/]", pid, port, str(one["restarts"]))
    console.print(table)
