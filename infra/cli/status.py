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
    key: Annotated[str, typer.Option(envvar="WEIR_KEY", help="The key to read with; on this machine rk_local.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
    pid_of: Annotated[str, typer.Option("--pid", help="Print the process id of this service alone.")] = "",
) -> None:
    """Show what Weir has received, stored and refused, and what waits.

    For a stack on this machine also its processes and ports.

    Examples:

    \b
    weir status
    weir status --json | jq .api.ledger
    weir status --url https://in.example.org --key rk_…
    kill -STOP $(weir status --pid clickhouse)    # see what happens while a part is away; -CONT ends it

    The exit status is 0 only when Weir answers and every part of it does.
    """
    from rich.console import Console

    from infra.cli import client

    with client.telling():
        stack = local_stack(url)
        if pid_of:
            print(_pid(stack, pid_of))
            return
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


def _pid(stack: dict[str, Any] | None, service: str) -> int:
    from infra.cli import client

    services = (stack or {}).get("services", {})
    running = {name: one["pid"] for name, one in services.items() if one["state"] != "gone" and one["pid"]}
    if service not in running:
        known = ", ".join(running) or "none, since no stack of this checkout answers there"
        raise client.CommandError(f"No service {service!r} runs here; there are: {known}.")
    return int(running[service])


def _ask(url: str, key: str) -> tuple[dict[str, Any] | None, str]:
    """The API's status, and what is wrong with it in one sentence."""
    from infra.cli import client

    try:
        with client.connect(url, client.own_key(url, key, "rk_local")) as connection:
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
            f" {ledger['failed']:,} failed; {ledger['duplicates']:,} duplicates, {ledger['erased']:,} erased",
            highlight=False,
        )
    if hour := content.get("accounts"):
        sure = "[green]balanced[/]" if hour["balanced"] else "[yellow]not balanced[/]"
        dropped = sum(hour["dropped"].values())
        console.print(
            f"[bold]hour[/]    {sure}: {hour['received']:,} received = {hour['stored']:,} stored"
            f" + {hour['failed']:,} failed + {hour['duplicate']:,} duplicates + {dropped:,} dropped"
            f" + {hour['erased']:,} erased"
            f" + {hour['dead']:,} dead + {hour['in_flight']:,} in flight",
            highlight=False,
        )
    slow = queue.get("slow_lane") or {}
    behind = slow.get("ready", 0) + slow.get("in_flight", 0)
    if queue:
        oldest = f", the oldest for {queue['oldest_seconds']:.1f} s" if queue.get("oldest_seconds") else ""
        console.print(
            f"[bold]queue[/]   {queue['ready']:,} waiting, {queue['in_flight']:,} in hand{oldest},"
            f" {queue['dead']:,} dead" + (f", {behind:,} in the slow lane" if behind else ""),
            highlight=False,
        )
    _show_batches(content.get("batches"), console)
    if lag:
        took = lag.get("stored_after_seconds")
        times = f", stored after {took['p50']:.2f} s (median), {took['p95']:.2f} s (95 of 100)" if took else ""
        console.print(
            f"[bold]lag[/]     {lag['events']:,} events in the last {lag['window_seconds']} s{times}", highlight=False
        )
    if cost := content.get("cost"):
        console.print(
            f"[bold]cost[/]    on AWS ${cost['usd_per_million_events']:,.4f} a million events,"
            f" {cost['events_per_request']:,.0f} a request (functions and gateway)",
            highlight=False,
        )
    for alert in (content.get("alerts") or {}).get("firing", []):
        console.print(
            f"[bold red]firing[/]  {alert['rule']} since {alert['firing_since']}: {alert['summary']}", highlight=False
        )


def _show_batches(batches: dict[str, Any] | None, console: Console) -> None:
    if not batches:
        return
    waiting = batches["waiting"]
    told = (
        f"{waiting['events']:,} events wait, the oldest for {waiting['oldest_seconds']} s"
        if waiting["blocks"]
        else ("nothing waits")
    )
    if batches["runs"]:
        run = batches["runs"][0]
        count = run["counts"].get
        spent = sum(run["step_ms"].values()) / 1000
        told += (
            f"; the last run is {run['state']} (began {run['began_at']}, took {spent:.1f} s,"
            f" {count('events', 0):,} events, {count('sessions', 0):,} sessions)"
        )
    late = "[red]late:[/] " if batches["late"] else ""
    console.print(f"[bold]batches[/] {late}{told}", highlight=False)


def _show_stack(stack: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table("service", "state", "pid", "port", "restarts", box=None)
    for name, one in stack["services"].items():
        colour = "green" if one["state"] == "ready" else "red"
        pid, port = (str(one[part] or "") for part in ("pid", "port"))
        table.add_row(name, f"[{colour}]{one['state']}[/]", pid, port, str(one["restarts"]))
    console.print(table)
