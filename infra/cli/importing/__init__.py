"""`weir import`: a file of events, or a web server's log, sent over HTTP."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from infra.cli.importing.run import Outcome

_INTERRUPTED = 130
_URL = "http://127.0.0.1:3000"


class Format(StrEnum):
    """The formats a file may have."""

    access_log = "access-log"
    ndjson = "ndjson"
    csv = "csv"


def register(app: typer.Typer) -> None:
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(help="The file; gzip is known by its first bytes.", show_default=False)],
    file_format: Annotated[Format, typer.Option("--format", help="What the file holds.", show_default=False)],
    url: Annotated[str, typer.Option(envvar="WEIR_URL", help="Where Weir answers.")] = _URL,
    key: Annotated[str, typer.Option(envvar="WEIR_KEY", help="The key to write with; on this machine wk_local.")] = "",
    rate: Annotated[
        float | None, typer.Option(help="At most so many events a second.", show_default="as fast as Weir takes them")
    ] = None,
    site: Annotated[str, typer.Option(help="access-log: the site whose log it is.")] = "semicomplete.com",
    restart: Annotated[bool, typer.Option("--restart", help="From the first line, whatever was sent before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Send the events of a file, in batches, over HTTP.

    Stop it when you like: the same command goes on where it stopped.
    No line is counted twice, even with --restart: an event without an id is
    known by the hash of the file's inflated content and its line number.
    What Weir refuses is stored as failed, and listed here by its code.

    \b
    access-log  Apache's or nginx' combined log. A GET is a page_view, or an
                asset_request (style sheet, script, image, font, film);
                another method an http_request, a status from 400 up an
                http_error. event_name is the path. A line that cannot be
                read is stored as failed, and kept in properties.raw.
    ndjson      One event a line, sent as it is.
    csv         The first line names the fields: event_type, event_name,
                platform, timestamp, properties.amount, context.page.url …
                Numbers in properties and context are sent as numbers.

    Examples:

    \b
    weir import access.log.gz --format access-log --site example.org
    weir import events.ndjson --format ndjson --rate 1000
    weir import buys.csv --format csv --url https://in.example.org

    The exit status is 0 only when every event was accepted.
    """
    from rich.console import Console

    from infra.cli import client
    from infra.cli.importing.run import Import, run

    console = Console(stderr=True, soft_wrap=True)
    with client.telling(), client.connect(url, client.own_key(url, key, "wk_local")) as connection:
        outcome = run(Import(file, file_format.value, site, rate, restart), connection, console)
        if as_json:
            client.show_json(account(outcome))
        else:
            show(outcome, Console(soft_wrap=True))
        if outcome.stopped:
            done = outcome.progress.acknowledged
            print(
                f"{outcome.stopped} {done:,} events were acknowledged; run the same command again to go on from there.",
                file=sys.stderr,
            )
            raise typer.Exit(_INTERRUPTED if outcome.stopped == "Interrupted." else 1)
        raise typer.Exit(1 if outcome.progress.rejected else 0)


def account(outcome: Outcome) -> dict[str, Any]:
    """The outcome for machines."""
    progress = outcome.progress
    return {
        "file": str(outcome.source.path),
        "sha256": outcome.source.sha256,
        "lines": outcome.source.lines,
        "complete": progress.complete,
        "already_imported": outcome.already,
        "stopped": outcome.stopped or None,
        "sent": progress.acknowledged,
        "accepted": progress.accepted,
        "duplicates": progress.duplicates,
        "rejected": progress.rejected,
        "rejected_by_code": {
            code: {"count": count, "examples": progress.examples.get(code, [])}
            for code, count in sorted(progress.codes.items())
        },
    }


def show(outcome: Outcome, console: Console) -> None:
    """The outcome for people."""
    progress = outcome.progress
    if outcome.already:
        console.print(
            f"{outcome.source.path.name} was imported before; --restart sends it again.", highlight=False, markup=False
        )
    known = f", of which {progress.duplicates:,} were known already" if progress.duplicates else ""
    console.print(
        f"{progress.acknowledged:,} events sent: {progress.accepted:,} accepted{known}, {progress.rejected:,} rejected",
        highlight=False,
    )
    for code, count in sorted(progress.codes.items(), key=lambda pair: (-pair[1], pair[0])):
        console.print(f"  [red]{code}[/] {count:,}", highlight=False)
        for example in progress.examples.get(code, []):
            console.print(f"    line {example['line']:,}: {example['message']}", highlight=False, markup=False)
            console.print(f"      {example['excerpt']}", highlight=False, markup=False, style="dim")
