"""`weir identities`: say which visitors are one, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from functions.measure.identities import Identities, Merge

T = TypeVar("T")
_JSON = typer.Option("--json", help="Print one JSON document, for machines.")


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Say which visitors are one, and take it back.")
    group.command()(merge)
    group.command()(undo)
    group.command(name="list")(show)
    app.add_typer(group, name="identities")


def merge(
    visitor: Annotated[
        str, typer.Argument(help="A visitor: u: and a user's id, a: and a device's, or as sessions name it.")
    ],
    other: Annotated[str, typer.Argument(help="Another one, who is the same.")],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Say that two visitors are one. Sessions and metrics follow with the next batch.

    Examples:

    \b
    weir identities merge a:phone-7 u:ada@example.com
    """
    from infra.cli import client

    with client.telling():
        _tell([_asked(lambda identities: identities.merge(visitor, other)[0])], as_json)


def undo(
    merge_id: Annotated[str, typer.Argument(help="The id that `merge` and `list` show.")],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Take a merge back. With the next batch everything is as if it had never been."""
    from infra.cli import client

    with client.telling():
        _tell([_asked(lambda identities: identities.undo(merge_id))], as_json)


def show(as_json: Annotated[bool, _JSON] = False) -> None:
    """Show all merges, also those that were undone."""
    from infra.cli import client

    with client.telling():
        _tell(_asked(lambda identities: identities.list()), as_json)


def _asked(question: Callable[[Identities], T]) -> T:
    from functions.shared.errors import Misconfigured, Reject, Retry
    from functions.shared.wiring import identities
    from infra.cli import client

    try:
        return question(identities())
    except (Reject, Retry) as error:
        raise client.CommandError(error.detail) from error
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error


def _tell(merges: list[Merge], as_json: bool) -> None:
    from infra.cli import client

    if as_json:
        client.show_json({"merges": [one._asdict() for one in merges]})
        return
    for one in merges:
        notes = ", ".join(["undone"] * one.undone + ["with the next batch"] * (one.state == "pending"))
        print(f"{one.merge_id}  {one.visitor} = {one.other}{f'  ({notes})' if notes else ''}")
