"""`weir schemas`: the schemas of events: what there is, whether events hold to it, and first drafts from samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

if TYPE_CHECKING:
    from infra.cli.registry.checking import Report
    from schemas.owned.registry import Registry

_JSON = typer.Option("--json", help="Print one JSON document, for machines.")
_REGISTRY = typer.Option(
    "--registry", envvar="WEIR_SCHEMAS_PATH", help="The folder of schemas; without it that of this checkout."
)
_KEY = typer.Option("--key", help="As if the key of this id had sent the events.")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="What events of a name have to look like.\n\n"
        "A registry is a folder: <event>/<major>.<minor>.json, each a JSON Schema (2020-12) of the whole event with "
        "the event's name as its title, and modes.toml, which says by event and key whether a violation is only told "
        "of (warn) or fails the event (enforce). docs/schemas.md has more.",
    )
    group.command(name="list")(show)
    group.command()(check)
    group.command()(infer)
    app.add_typer(group, name="schemas")


def show(
    registry: Annotated[str, _REGISTRY] = "",
    key: Annotated[str, _KEY] = "",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Show each event that has a schema: its versions, and how strictly they are taken."""
    from infra.cli import client

    with client.telling():
        found = _load(registry)
        rows = [
            {
                "event_name": name,
                "versions": [str(version) for version in sorted(versions)],
                "mode": found.modes.of(name, key),
                "files": [versions[version].file for version in sorted(versions)],
            }
            for name, versions in sorted(found.events.items())
        ]
        if as_json:
            client.show_json({"schemas": rows})
            return
        for row in rows:
            print(f"{row['mode']:<8} {', '.join(row['versions']):<12} {row['event_name']}")


def check(
    file: Annotated[str, typer.Argument(help="Events, one JSON object a line; - reads from a pipe.")] = "",
    registry: Annotated[str, _REGISTRY] = "",
    key: Annotated[str, _KEY] = "",
    first: Annotated[int, typer.Option("--first", min=0, max=10_000, help="How many violations to print.")] = 20,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Check the registry, and whether events hold to it.

    Of the registry: that each file can be used, and that within a major version a later version takes all that an
    earlier one took. Of the events: what would become of each if it were sent now. Nothing is sent.

    Ends with status 1 when the registry breaks its promise, or when any event would fail.

    Examples:

    \b
    weir schemas check
    weir schemas check events.ndjson
    weir schemas check events.ndjson --key live_4f2c --first 3
    """
    from infra.cli import client
    from infra.cli.registry import checking

    with client.telling():
        found = _load(registry)
        breaks = checking.broken(found)
        report = checking.Report()
        if file:
            with _lines(file) as lines:
                report = checking.check(lines, found, key, first)
        if as_json:
            client.show_json({"breaks": breaks, **vars(report)})
        else:
            _print(report, breaks, bool(file), len(found.events))
        if breaks or report.failed:
            raise typer.Exit(1)


def infer(
    file: Annotated[str, typer.Argument(help="Events, one JSON object a line; - reads from a pipe.")],
    name: Annotated[str, typer.Option("--name", help="Only of this event name.")] = "",
    into: Annotated[str, typer.Option("--into", help="Write each schema into this folder, as version 1.0.")] = "",
) -> None:
    """Make first drafts of schemas from sample events.

    A draft takes every sample. It tells types; a property is required when every sample has it; a format or a list of
    values is told only when many samples say so. Read it before you use it: a sample is not all that may come.

    Of one event name the schema is printed; of several, one JSON object with each schema by its name.

    Examples:

    \b
    weir schemas infer events.ndjson --name "Order Completed"
    weir schemas infer events.ndjson --into schemas/registry
    """
    import sys

    from infra.cli import client
    from infra.cli.registry import inferring

    with client.telling():
        with _lines(file) as lines:
            made, bad = inferring.infer(lines, name)
        if bad:
            print(f"{bad:,} lines are no valid events and were passed over.", file=sys.stderr)
        if not made:
            raise client.CommandError(f"There is no event{f' named {name!r}' if name else ''} in {file}.")
        if into:
            for path in inferring.put(made, Path(into)):
                print(path)
        else:
            print(inferring.text(next(iter(made.values())) if len(made) == 1 else made), end="")


def _load(folder: str) -> Registry:
    from infra.cli.client import CommandError
    from schemas.owned import registry

    try:
        return registry.load(Path(folder) if folder else registry.SHIPPED)
    except registry.RegistryError as error:
        raise CommandError("\n".join(error.faults)) from error


@contextmanager
def _lines(file: str) -> Iterator[BinaryIO]:
    import sys

    if file == "-":
        yield sys.stdin.buffer
        return
    with open(file, "rb") as opened:
        yield opened


def _print(report: Report, breaks: list[dict[str, str]], events: bool, schemas: int) -> None:
    for one in breaks:
        print(f"{one['file']} {one['place']}: {one['message']} Version {one['older']} took it.")
    if not events:
        print(f"{schemas:,} events have schemas; " + ("a new major version is needed." if breaks else "all is well."))
        return
    for told in report.told:
        place = ".".join(map(str, told["loc"])) or "the event"
        named = f" {told['event_name']}" if told["event_name"] else ""
        print(f"line {told['line']}{named}: {told['result']}: {place}: {told['message']}")
    print(
        f"{report.events:,} events: {report.valid:,} hold to their schema, {report.without_schema:,} have none, "
        f"{report.warned:,} would be flagged, {report.failed:,} would fail."
    )
