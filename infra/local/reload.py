"""Takes edits under functions/ and schemas/ to the running functions, or says why it keeps the old code."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import DefaultFilter, watch

from . import commands, packaging, surroundings
from .functions import DeployFailed, Functions, logical_name

_DEBOUNCE_MS = 200
_IMPORT_SECONDS = 30.0
_FINISH_SECONDS = 1.0
_IMPORT = "import importlib, sys; sys.path[:0] = sys.argv[2:]; importlib.import_module(sys.argv[1])"


class Reloader:
    """Watches the code and exchanges it, until it is told to stop."""

    def __init__(self, functions: Functions, python: Path, say: Callable[[str], None]) -> None:
        """Take the functions, the Python that runs them, and where to tell of what was done."""
        self._functions, self._python, self._say = functions, python, say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        # A reload that is under way fails by itself, once the emulator is gone.
        self._thread.join(_FINISH_SECONDS)

    def _run(self) -> None:
        root = self._functions.root
        folders = (root / "functions", root / "schemas")
        changes = watch(
            *folders, watch_filter=DefaultFilter(), debounce=_DEBOUNCE_MS, stop_event=self._stop, raise_interrupt=False
        )
        for batch in changes:
            for stage in affected((Path(path) for _, path in batch), root):
                self.reload(stage)

    def reload(self, stage: str) -> bool:
        """Exchange one function's code. Returns whether it was."""
        began = time.monotonic()
        try:
            self._exchange(stage)
        except (OSError, DeployFailed) as error:
            self._say(f"kept the old {stage}: {error}")
            return False
        self._say(f"reloaded {stage} in {time.monotonic() - began:.1f} s")
        return True

    def _exchange(self, stage: str) -> None:
        built = self._functions.built / logical_name(stage)
        with tempfile.TemporaryDirectory(dir=self._functions.built) as temporary:
            fresh, old = Path(temporary, "fresh"), Path(temporary, "old")
            fresh.mkdir()
            old.mkdir()
            packaging.copy_code(stage, fresh, self._functions.root)
            self._try_import(stage, [fresh, built])
            # What is built is now neither what it was nor, for the other functions, what the checkout holds.
            (self._functions.built / "weir.stamp").unlink(missing_ok=True)
            _move_code(built, old)
            _move_code(fresh, built)
            try:
                self._functions.update(stage)
                self._functions.warm(stage)
            except DeployFailed:
                _move_code(built, fresh)
                _move_code(old, built)
                self._functions.update(stage)
                raise

    def _try_import(self, stage: str, paths: list[Path]) -> None:
        command = [str(self._python), "-I", "-c", _IMPORT, f"functions.{stage}.app", *map(str, paths)]
        variables = surroundings.clean(
            **surroundings.aws(self._functions.emulator_url), **self._functions.environment(stage)
        )
        try:
            done = commands.run(command, variables, seconds=_IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            raise DeployFailed(f"its import takes more than {_IMPORT_SECONDS:g} s") from None
        if done.returncode:
            raise DeployFailed(_innermost(done.stderr, paths[0]))


def _move_code(source: Path, target: Path) -> None:
    for name in ("functions", "schemas"):
        (source / name).rename(target / name)


def affected(paths: Iterable[Path], root: Path) -> list[str]:
    """Which functions a change concerns: those whose package holds it."""
    changed = {path.relative_to(root).as_posix() for path in paths}
    return [stage for stage in packaging.STAGES if any(_holds(stage, path) for path in changed)]


def _holds(stage: str, path: str) -> bool:
    return path == "functions/__init__.py" or path.startswith(tuple(f"{part}/" for part in packaging.parts(stage)))


def _innermost(traceback: str, folder: Path) -> str:
    """The error and where in our code it is."""
    lines = traceback.strip().splitlines()
    error = lines[-1] if lines else "it cannot be imported"
    places = [line.strip() for line in lines if line.strip().startswith(f'File "{folder}')]
    if not places:
        return error
    _, file, rest = places[-1].split('"', 2)
    return f"{error} ({Path(file).relative_to(folder)}{rest.split(', in ')[0]})"
