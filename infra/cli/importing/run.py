"""An import from its file to its account, with a bar that moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infra.cli.client import CommandError, ask
from infra.cli.importing.progress import Progress, ProgressFile
from infra.cli.importing.records import FORMATS, Source, records, survey
from infra.cli.importing.sending import Sender
from infra.local.paths import ROOT

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

FOLDER = ROOT / ".weir" / "imports"
SITE = "semicomplete.com"
_SITE = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?\Z")


class Import(NamedTuple):
    """What to import, and how."""

    path: Path
    file_format: str
    site: str = SITE
    rate: float | None = None
    restart: bool = False


class Outcome(NamedTuple):
    """The account of an import, and what stopped it before its end, if anything did."""

    source: Source
    progress: Progress
    already: bool
    stopped: str


def run(
    wanted: Import,
    client: httpx.Client,
    console: Console,
    folder: Path | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Import a file, from where an earlier import of it stopped. Raises :class:`CommandError` for what is wrong with
    what was asked; what stops it on the way is in the outcome, for what was acknowledged before stays so."""
    _check(wanted)
    source = survey(wanted.path)
    target = {"url": str(client.base_url).rstrip("/"), "format": wanted.file_format, "site": wanted.site}
    account = ProgressFile((folder or FOLDER) / f"{source.sha256}.json", target)
    progress = Progress() if wanted.restart else account.load()
    if progress.complete:
        return Outcome(source, progress, already=True, stopped="")
    # Nothing there at all is said at once; what goes away later is waited for.
    ask(client, "GET", "/health")
    account.save(progress)
    stopped = ""
    with Bar(console, wanted.path.name, source.lines, progress.acknowledged) as move:
        sender = Sender(client, source.sha256, account, progress, lambda now: move(now.acknowledged), stopping)
        try:
            sender.send(records(source, wanted.file_format, progress.acknowledged, wanted.site), wanted.rate)
        except CommandError as error:
            stopped = str(error)
        except KeyboardInterrupt:
            stopped = "Interrupted."
        if progress.complete:
            move(source.lines)
    if not stopped and not progress.complete:
        stopped = "Interrupted."
    # A batch that was cut short may have been counted in part: what was saved last is the account.
    return Outcome(source, account.load() if stopped else progress, already=False, stopped=stopped)


class Bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, console: Console, title: str, total: int, done: int = 0) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, completed=done)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda done: self._bar.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _check(wanted: Import) -> None:
    if wanted.file_format not in FORMATS:
        raise CommandError(f"There is no format {wanted.file_format!r}; there are {', '.join(FORMATS)}.")
    if wanted.rate is not None and not wanted.rate > 0:
        raise CommandError("A rate is a number of events a second, above 0.")
    if not _SITE.match(wanted.site):
        raise CommandError(f"{wanted.site!r} is no name of a site; one looks like {SITE}.")
