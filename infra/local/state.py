"""What a running stack writes down: one stack a folder, and where its parts are."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

_LEFTOVER_SECONDS = 10.0
_POLL_SECONDS = 0.05


class AlreadyRunning(RuntimeError):
    """Another stack has the folder."""


@dataclass
class Lock:
    """Held while a stack runs; the kernel lets go of it however the stack ends."""

    file: IO[str]

    @classmethod
    def take(cls, folder: Path) -> Lock:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "stack.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                other = file.read().strip()
            raise AlreadyRunning(f"`weir up` is already running in {folder.parent} ({other})") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        file.flush()
        return cls(file)

    def release(self) -> None:
        self.file.truncate(0)
        self.file.close()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process has this lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(folder: Path) -> dict[str, Any]:
    """The stack's state, empty when there is none."""
    try:
        content: dict[str, Any] = json.loads((folder / "stack.json").read_text())
    except FileNotFoundError:
        return {}
    return content


def write(folder: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    temporary = folder / "stack.json.new"
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(folder / "stack.json")


def birth(pid: int) -> str:
    """When a process was born: with its id, this names it for good. Empty when there is none."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    command = ["ps", "-o", "lstart=,stat=", "-p", str(pid)]
    line = subprocess.run(command, capture_output=True, text=True, check=False, env=_PLAIN).stdout.strip()
    born, _, status = line.rpartition(" ")
    return "" if status.startswith("Z") else born.strip()


def end_leftovers(folder: Path) -> list[str]:
    """End what a killed stack has left: its guardian does the same and may be at it. Returns their names."""
    left = {
        name: (service["pid"], service["born"])
        for name, service in read(folder).get("services", {}).items()
        if service.get("pid") and service.get("born") and birth(service["pid"]) == service["born"]
    }
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, born in left.values():
            _kill(pid, born, number)
        while any(birth(pid) == born for pid, born in left.values()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        deadline = time.monotonic() + _LEFTOVER_SECONDS
    return list(left)


def _kill(pid: int, born: str, number: int) -> None:
    if birth(pid) == born:
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return


_PLAIN = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
