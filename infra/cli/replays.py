"""`weir replay`: bring events again that failed, were given up, or are to be enriched anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from functions.measure.replays.request import Request

_JSON = typer.Option("--json", help="Print one JSON document, for machines.")
_ID = typer.Argument(help="The id that `replay` and `replay list` show.", show_default=False)
_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.5
# What is on its way arrives in a moment, unless nobody takes it.
_SETTLE_SECONDS = 30.0


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True)
    group.callback()(replay)
    group.command(name="list")(show_all)
    group.command()(show)
    group.command()(stop)
    group.command()(resume)
    app.add_typer(group, name="replay")


def replay(
    context: typer.Context,
    source: Annotated[str, typer.Option(help="dead, failed, or stored (to be enriched anew).")] = "dead",
    since: Annotated[str, typer.Option("--from", help="Received from here on: RFC 3339.")] = "",
    until: Annotated[str, typer.Option("--to", help="And before.")] = "",
    cause: Annotated[str, typer.Option(help="A part of why it failed, or the code of a fault.")] = "",
    name: Annotated[list[str] | None, typer.Option(help="An event name; repeat it for any of several.")] = None,
    key_id: Annotated[list[str] | None, typer.Option("--key-id", help="The id of a key; may be repeated.")] = None,
    event_id: Annotated[list[str] | None, typer.Option("--event-id", help="An event; may be repeated.")] = None,
    put: Annotated[list[str] | None, typer.Option("--set", help="path=value: JSON, or else text.")] = None,
    rename: Annotated[list[str] | None, typer.Option(help="path=other.path")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A path to remove.")] = None,
    rate: Annotated[int, typer.Option(min=0, help="Events a second; 0 is as fast as it goes.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    background: Annotated[bool, typer.Option("--background", help="Leave it to the schedule.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Bring events again: dead letters, failed events, or stored ones that are to be enriched anew.

    All that is said about them must hold; of a filter that is repeated, any. A patch (--set, --rename, --drop, in
    this order) changes each event before it is read; the bytes that were sent are kept. The times are of the receipt
    for dead letters, else of the event. Ctrl-C stops it, and `weir replay resume ID` goes on. Done twice it has the
    same result.

    It works on the stores and the queue that the WEIR_* variables name, those of `weir up` unless said otherwise.

    Examples:

    \b
    weir replay --dry-run                                       what is dead, and what would become of it
    weir replay --cause RuntimeError --drop properties.cart     dead letters, without what killed them
    weir replay --source failed --cause bad_uuid --drop user_id
    weir replay --source failed --name checkout --set platform=web --rename properties.sum=properties.total
    weir replay --source stored --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --rate 2000
    weir replay list
    """
    if context.invoked_subcommand:
        return
    from infra.cli import client
    from infra.cli.replaying import asking, wording

    with client.telling():
        given = asking.Given(source, since, until, cause, name or [], key_id or [], event_id or [], rate)
        request = asking.request(given, put or [], rename or [], drop or [])
        if dry_run:
            wording.preview(_asked("preview", request), as_json)
            return
        made = _made(request)
        if background or not made["matched"]:
            wording.one(made, as_json)
            return
        _foreground(made["replay_id"], as_json)


def show_all(as_json: Annotated[bool, _JSON] = False) -> None:
    """Show all replays, the newest first."""
    from infra.cli import client
    from infra.cli.replaying import wording

    with client.telling():
        wording.several(_asked("page", 1_000).replays, as_json)


def show(replay_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """Show how far a replay came, and what came of it."""
    from infra.cli import client
    from infra.cli.replaying import wording

    with client.telling():
        wording.one(_asked("get", _uuid(replay_id)), as_json)


def stop(replay_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """Send no more of a replay. What is on its way arrives."""
    from infra.cli import client
    from infra.cli.replaying import wording

    with client.telling():
        wording.one(_asked("stop", _uuid(replay_id)), as_json)


def resume(
    replay_id: Annotated[str, _ID],
    background: Annotated[bool, typer.Option("--background", help="Leave it to the schedule.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Go on with a replay from where it stopped."""
    from infra.cli import client
    from infra.cli.replaying import wording

    with client.telling():
        found = _asked("resume", _uuid(replay_id))
        if background or found["state"] == "done":
            wording.one(found, as_json)
            return
        _foreground(found["replay_id"], as_json)


def _made(request: Request) -> dict[str, Any]:
    """A new replay, of all that is dead by now."""
    from functions.shared.wiring import collector

    if request.source == "dead":
        _engines(lambda: collector().run(lambda: True))
    made: dict[str, Any] = _asked("create", request)
    return made


def _foreground(replay_id: str, as_json: bool) -> None:
    """Do it here and now. Ctrl-C stops it."""
    import time

    from functions.shared.wiring import collector, replay_runner
    from infra.cli import client
    from infra.cli.replaying import wording

    def run() -> None:
        if "busy" in replay_runner(bar.update).run(lambda: True, replay_id, _WAIT_SECONDS):
            raise client.CommandError(
                f"Another one does replays now; `weir replay show {replay_id}` tells how far it is."
            )

    with wording.Bar(_asked("get", replay_id)["matched"], quiet=as_json) as bar:
        try:
            _engines(run)
            until = time.monotonic() + _SETTLE_SECONDS
            while (found := _asked("get", replay_id))["state"] == "settling" and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
                _engines(lambda: collector().run(lambda: True))
                _engines(run)
        except KeyboardInterrupt:
            _asked("stop", replay_id)
            client.fail(f"Stopped. `weir replay resume {replay_id}` goes on.")
    wording.one(found, as_json)
    if found["failed_again"] or found["state"] != "done":
        raise typer.Exit(1)


def _asked(what: str, *given: Any) -> Any:
    from functions.shared.wiring import replay_service

    return _engines(lambda: getattr(replay_service(), what)(*given))


def _engines(act: Any) -> Any:
    from functions.shared.errors import Misconfigured, Reject, Retry
    from infra.cli import client

    try:
        return act()
    except (Reject, Retry) as error:
        raise client.CommandError(error.detail) from error
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error


def _uuid(text: str) -> str:
    from functions.shared.domain import ids
    from infra.cli import client

    if not ids.is_uuid(text):
        raise client.CommandError(f"{text!r} is no replay's id: that is a UUID.")
    return text.lower()
