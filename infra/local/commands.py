"""Commands that run for a while and end by themselves (a build, an install), unless the stack ends first."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()


def tethered(command: Sequence[str]) -> list[str]:
    """The command, so that the kernel ends it when this process ends."""
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command]


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`, with the output as text. Raises `subprocess.TimeoutExpired` after so many seconds."""
    process = subprocess.Popen(
        tethered(command),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with _lock:
        _running.add(process)
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        _end(process)
        with _lock:
            _running.discard(process)
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def end_all() -> None:
    """End what still runs."""
    with _lock:
        for process in _running:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
