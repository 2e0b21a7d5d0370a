"""`weir send`: one event, or a batch of them, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import httpx

_FIRST_ERROR, _STORED = 400, 201


def register(app: typer.Typer) -> None:
    app.command()(send)


def send(
    event: Annotated[str, typer.Argument(help="The JSON, @FILE, or - for standard input.", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Until it is stored, and show it enriched.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rows it would become; store nothing.")] = False,
    url: Annotated[str, typer.Option(envvar="WEIR_URL", help="Where Weir answers.")] = "http://127.0.0.1:3000",
    key: Annotated[str, typer.Option(envvar="WEIR_KEY", help="The key to write with; on this machine wk_local.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer without colours.")] = False,
) -> None:
    """Send one event, or an array of events, and print the answer.

    Examples:

    \b
    weir send '{"event_type":"click","event_name":"buy","platform":"web"}'
    weir send --wait @event.json
    echo '[{"event_type":"click", …}, …]' | weir send -

    The exit status is 0 only when all of it was accepted; with --wait,
    only when it was stored as well.
    """
    from infra.cli import client

    with client.telling():
        body = _read(event)
        with client.connect(url, client.own_key(url, key, "wk_local")) as connection:
            answer = client.ask(connection, "POST", _path(body), content=body, params=_params(wait, dry_run), **_TYPE)
        content = client.document(answer)
        if as_json:
            client.show_json(content)
        else:
            _show(content)
        _conclude(answer, content, wait and not dry_run)


_TYPE: dict[str, Any] = {"headers": {"Content-Type": "application/json"}}


def _read(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    return Path(given[1:]).read_bytes() if given.startswith("@") else given.encode("utf-8", "surrogateescape")


def _path(body: bytes) -> str:
    """An array is a batch, and so is an object that holds `events`."""
    import json

    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    several = isinstance(content, list) or (isinstance(content, dict) and isinstance(content.get("events"), list))
    return "/api/v1/events/batch" if several else "/api/v1/events"


def _params(wait: bool, dry_run: bool) -> dict[str, str]:
    return {**({"wait": "stored"} if wait else {}), **({"dry_run": "true"} if dry_run else {})}


def _show(content: dict[str, Any]) -> None:
    from rich.console import Console

    Console(soft_wrap=True).print_json(data=content)


def _conclude(answer: httpx.Response, content: dict[str, Any], wait: bool) -> None:
    from infra.cli import client

    if answer.status_code >= _FIRST_ERROR:
        later = client.retry_after(answer)
        client.fail(
            client.problem(answer.status_code, content)
            + (f" Send the same again in {later:g} s." if later is not None else "")
        )
    if content.get("rejected"):
        client.fail(f"{content['rejected']} of {content.get('received')} events were rejected.")
    if wait and answer.status_code != _STORED and "event_id" in content:
        client.fail(f"Accepted, but not stored yet: look again with `weir trace {content['event_id']}`.")
