"""`weir keys`: make, list, change, rotate and revoke the keys that clients ask with."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from functions.shared.domain.keys import Key

_JSON = typer.Option("--json", help="Print one JSON document, for machines.")
_ID = typer.Argument(help="The key's id, as `list` shows it.", show_default=False)
_ABOUT = """Make, list, change, rotate and revoke the keys that clients ask with.

Without WEIR_KEYS these are the keys of the stack on this machine, in .weir/keys.json of this checkout, whether it
runs or not. Elsewhere WEIR_KEYS says where they are: file (WEIR_KEYS_PATH), secret (WEIR_KEYS_REFERENCE, an ARN or a
parameter's name) or nats (WEIR_NATS_URL). A change is effective within a minute."""


class ScopeName(StrEnum):
    write = "write"
    read = "read"
    admin = "admin"


class EnvironmentName(StrEnum):
    live = "live"
    test = "test"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help=_ABOUT)
    group.command()(create)
    group.command(name="list")(show_all)
    group.command()(show)
    group.command()(rotate)
    group.command(name="set")(change)
    group.command()(revoke)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="What it is for, for people.", show_default=False)],
    scope: Annotated[list[ScopeName], typer.Option(help="What it may do; repeat it for several. An admin may read.")],
    environment: Annotated[EnvironmentName, typer.Option(help="Whose data it writes and sees.")] = EnvironmentName.live,
    origin: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may use it, * for any part; repeat it. None: any.")
    ] = None,
    event_name: Annotated[
        list[str] | None, typer.Option(help="An event name it may write, * for any part; repeat it. None: any.")
    ] = None,
    rate: Annotated[int, typer.Option(min=0, help="Events a second it may write; 0 is no limit.")] = 0,
    requests: Annotated[int, typer.Option(min=0, help="Requests a second it may make; 0 is no limit.")] = 0,
    daily: Annotated[int, typer.Option(min=0, help="Events a day (UTC) it may write; 0 is no limit.")] = 0,
    slow_lane: Annotated[bool, typer.Option(help="Take what is over the rate later, instead of refusing it.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make a key, and print its token: this once, for it is kept nowhere.

    Examples:

    \b
    weir keys create shop --scope write --origin https://shop.example.com
    weir keys create analysts --scope read --environment test
    """
    from infra.cli import client, keyring

    with client.telling():
        options = {
            "name": name,
            "scopes": tuple(dict.fromkeys(one.value for one in scope)),
            "origins": tuple(one.lower().rstrip("/") for one in origin or ()),
            "event_names": tuple(event_name or ()),
            "events_per_second": rate,
            "requests_per_second": requests,
            "daily_events": daily,
            "slow_lane": slow_lane,
        }
        key, token = keyring.open_keyring().create(environment.value, options)
        _tell_token(key, token, as_json)


def show_all(as_json: Annotated[bool, _JSON] = False) -> None:
    """List all keys, also revoked ones. No token is ever shown."""
    from rich.console import Console
    from rich.table import Table

    from infra.cli import client, keyring

    with client.telling():
        keys = keyring.open_keyring().all()
        if as_json:
            client.show_json({"keys": [keyring.told(key) for key in keys]})
            return
        table = Table("id", "name", "scopes", "limits", "created", "state", box=None)
        for key in keys:
            state = f"revoked {key.revoked_at}" if key.revoked_at else "good"
            cells = (key.key_id, key.name, ", ".join(key.scopes), _limits(key), key.created_at, state)
            table.add_row(*(f"[red]{one}[/]" if key.revoked_at and one == state else one for one in cells))
        Console(soft_wrap=True).print(table)


def show(key_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """Show what a key may do, and until when its tokens are good."""
    from infra.cli import client, keyring

    with client.telling():
        told = keyring.told(keyring.open_keyring().one(key_id))
        if as_json:
            client.show_json(told)
            return
        for name, value in told.items():
            print(f"{name:<20} {', '.join(map(str, value)) if isinstance(value, list) else value}")


def rotate(
    key_id: Annotated[str, _ID],
    overlap: Annotated[str, typer.Option(help="How long the former token stays good: 30m, 24h, 7d or 0.")] = "24h",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Give a key another token, and print it. The former one is good for a while more; the id stays."""
    from infra.cli import client, keyring

    with client.telling():
        key, token = keyring.open_keyring().rotate(key_id, keyring.nanoseconds(overlap))
        _tell_token(key, token, as_json)


def change(
    name: Annotated[str, typer.Argument(help="The key's id, or its name where no other has it.", show_default=False)],
    rename: Annotated[str | None, typer.Option(help="What it is for, for people.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="An origin whose pages may use it, in place of those before; repeat it."),
    ] = None,
    any_origin: Annotated[bool, typer.Option("--any-origin", help="Pages of any origin may use it.")] = False,
    event_name: Annotated[
        list[str] | None, typer.Option(help="An event name it may write, in place of those before; repeat it.")
    ] = None,
    any_event_name: Annotated[bool, typer.Option("--any-event-name", help="It may write events of any name.")] = False,
    rate: Annotated[int | None, typer.Option(min=0, help="Events a second it may write; 0 is no limit.")] = None,
    requests: Annotated[int | None, typer.Option(min=0, help="Requests a second it may make; 0 is no limit.")] = None,
    daily: Annotated[int | None, typer.Option(min=0, help="Events a day (UTC) it may write; 0 is no limit.")] = None,
    slow_lane: Annotated[bool | None, typer.Option(help="Take what is over the rate later, or refuse it.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Change what a key may do; what is not named stays, and so do its tokens. Effective within a minute.

    Examples:

    \b
    weir keys set shop --rate 2000 --slow-lane
    weir keys set live_4k2m9x7c1d --origin https://shop.example.com --daily 0
    """
    from infra.cli import client, keyring

    with client.telling():
        options = {
            "name": rename,
            "origins": _replaced("origin", [one.lower().rstrip("/") for one in origin or ()], any_origin),
            "event_names": _replaced("event-name", event_name or [], any_event_name),
            "events_per_second": rate,
            "requests_per_second": requests,
            "daily_events": daily,
            "slow_lane": slow_lane,
        }
        given = {field: value for field, value in options.items() if value is not None}
        told = keyring.told(keyring.open_keyring().set(name, given))
        if as_json:
            client.show_json(told)
        else:
            print(f"{told['key_id']} is changed; within a minute that is how it is held.")


def _replaced(option: str, values: list[str], any_value: bool) -> list[str] | None:
    """A list that takes the place of the one before; None where it stays."""
    from infra.cli.client import CommandError

    if values and any_value:
        raise CommandError(f"Give --{option} or --any-{option}, not both.")
    return values if values or any_value else None


def revoke(key_id: Annotated[str, _ID], as_json: Annotated[bool, _JSON] = False) -> None:
    """End a key, with all its tokens. This cannot be undone."""
    from infra.cli import client, keyring

    with client.telling():
        key = keyring.open_keyring().revoke(key_id)
        if as_json:
            client.show_json(keyring.told(key))
        else:
            print(f"{key.key_id} is revoked; within a minute nobody is let in by it.")


def _tell_token(key: Key, token: str, as_json: bool) -> None:
    from infra.cli import client, keyring

    if as_json:
        client.show_json({**keyring.told(key), "token": token})
        return
    print(f"{key.key_id}  {key.name}")
    print(f"token  {token}")
    print("It is shown this once.")


def _limits(key: Key) -> str:
    parts: list[Any] = [
        f"{key.events_per_second:,} events/s" if key.events_per_second else "",
        f"{key.requests_per_second:,} requests/s" if key.requests_per_second else "",
        f"{key.daily_events:,} a day" if key.daily_events else "",
        f"{len(key.origins)} origins" if key.origins else "",
        f"{len(key.event_names)} names" if key.event_names else "",
    ]
    return ", ".join(filter(None, parts))
