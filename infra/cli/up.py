"""`weir up`: the whole of Weir on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from infra.local.stack import Stack, Step

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command()(up)


def up(
    engines_only: Annotated[
        bool, typer.Option("--engines-only", help="Only the engines and the emulator, for `sam`.")
    ] = False,
    reload: Annotated[bool, typer.Option(help="Take edits of the code to the running functions.")] = True,
    geo: Annotated[bool, typer.Option(help="Fetch the geolocation data when it is not there.")] = True,
) -> None:
    """Run the whole of Weir on this machine; Ctrl-C ends it."""
    from infra.local.stack import ENGINES, EVERYTHING, Stack

    console = _console()
    stack = Stack(
        services=ENGINES | {"emulator"} if engines_only else EVERYTHING,
        geo=geo,
        reload=reload,
        containers=engines_only,
        done=lambda step: _show(console, step),
        say=lambda text: console.print(text, highlight=False, markup=False),
    )
    ending = _Ending(stack, console)
    began = time.monotonic()
    try:
        with _spinning(stack, console):
            console.print(f"[bold green]ready in {time.monotonic() - began:.1f} s[/]")
            _after_start(stack, console, engines_only, ending)
            ending.wait()
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except RuntimeError as error:
        console.print("[bold red]Weir did not start:[/] ", end="")
        console.print(str(error), highlight=False, markup=False)
        raise typer.Exit(1) from None


@contextmanager
def _spinning(stack: Stack, console: Console) -> Iterator[None]:
    """The running stack; at a terminal something moves while it starts."""
    status = console.status("starting", spinner="dots")
    status.start()
    try:
        with stack:
            status.stop()
            yield
    finally:
        status.stop()


class _Ending:
    """The first Ctrl-C ends the stack in order, the second at once."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack, self._console = stack, console
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            self._stack.force()
            return
        self._asked.set()
        self._console.print("\nstopping (once more to force)")
        if not self._stack.is_up:
            # The start waits for many things; none of them matters any more.
            raise KeyboardInterrupt

    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()

    def wait(self) -> None:
        self._asked.wait()


def _after_start(stack: Stack, console: Console, engines_only: bool, ending: _Ending) -> None:
    from infra.local.surroundings import aws, exports

    console.print(f"logs in {stack.logs_dir}", highlight=False)
    if engines_only:
        console.print("`sam local` knows of them; `sam deploy --config-env local` and your own shell by these:")
        print(exports(stack.variables() | aws(stack.emulator_url)), flush=True)
        return
    console.print(f"Weir is at [bold]{stack.base_url}[/]", highlight=False)
    try:
        from infra.cli.client import CommandError
        from infra.cli.first_run import welcome

        welcome(stack.base_url, stack.variables(), ending.asked)
    except CommandError as error:
        console.print(f"the first run did not end: {error}", highlight=False, markup=False)
    except Exception as error:  # noqa: BLE001  the stack works without its welcome; say what failed
        console.print(f"the first run did not end: {type(error).__name__}: {error}", highlight=False, markup=False)


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=True, file=sys.stderr)


def _show(console: Console, step: Step) -> None:
    console.print(f"  [green]✓[/] {step.name:<13} {step.seconds:5.1f} s  [dim]{step.detail}[/]", highlight=False)
