"""Child processes that come up, are watched, come back when they fall, and never outlive the stack."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .commands import tethered
from .logs import tail
from .state import birth

_HERE = Path(__file__).parent
_PROBE_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.2, 10.0
# One that ran this long was sound: the next failure is a new one.
_SOUND_SECONDS = 30.0
State = Literal["starting", "ready", "restarting", "stopped", "failed"]


class NotReady(RuntimeError):
    """A service did not come up."""


@dataclass
class Service:
    """What to run, and how to know that it works."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    port: int = 0
    url: str = ""
    folder: Path | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 8.0
    after_restart: Callable[[], None] | None = None
    # Whether it runs and says itself that it will not work again until it is started anew.
    is_lost: Callable[[], bool] | None = None


class Guardian:
    """The process that cleans up after a stack that was killed."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", str(_HERE / "guardian.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        self._lock = threading.Lock()

    def tell(self, sign: str, pid: int) -> None:
        with self._lock:
            if self._process.stdin and self._process.poll() is None:
                self._process.stdin.write(f"{sign}{pid}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


@dataclass
class Supervised:
    """One service under watch. A thread of its own starts it and waits for it: the kernel's signal at the
    parent's end is bound to the thread that started the child."""

    service: Service
    guardian: Guardian
    changed: Callable[[], None]
    state: State = "starting"
    pid: int = 0
    born: str = ""
    started_at: float = 0.0
    restarts: int = 0
    problem: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _settled: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin; `wait_ready` tells how it went."""
        self._thread = threading.Thread(target=self._watch, name=f"watch-{self.service.name}", daemon=True)
        self._thread.start()

    def wait_ready(self) -> None:
        """Until the service works. Raises NotReady with the end of its log."""
        self._settled.wait()
        if self.state != "ready":
            raise NotReady(self.problem or f"{self.service.name} was stopped")

    def stop(self) -> None:
        """Ask the process to end."""
        self._stop.set()
        self._signal(signal.SIGTERM)

    def force(self) -> None:
        """Do not ask."""
        self._stop.set()
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """Kill it as a crash would; it comes back."""
        self._signal(signal.SIGKILL)

    def join(self) -> None:
        """Until it has ended, by force when it takes too long."""
        if self._thread is None:
            return
        self._thread.join(self.service.stop_seconds)
        if self._thread.is_alive():
            self._signal(signal.SIGKILL)
            self._thread.join()

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        try:
            # The whole group: the emulator's workers go with it.
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _watch(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._stop.is_set():
            began = time.monotonic()
            process = self._spawn()
            if self._came_up(process) and self._resumed():
                self._become("ready")
                self._settled.set()
            status = self._ended(process)
            self._end_group(process.pid)
            if self._stop.is_set():
                break
            if not self._settled.is_set():
                self.problem = f"{self.service.name} did not come up{_how(status)}:\n{tail(self.service.log)}"
                self._become("failed")
                self._settled.set()
                return
            backoff = _FIRST_BACKOFF_SECONDS if time.monotonic() - began > _SOUND_SECONDS else backoff
            self.problem = f"{self.service.name} ended{_how(status)}"
            self.restarts += 1
            self._become("restarting")
            self._stop.wait(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
        self._become("stopped")
        self._settled.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        service = self.service
        command = tethered(service.command)
        service.log.parent.mkdir(parents=True, exist_ok=True)
        with service.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=dict(service.environment),
                cwd=service.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Of its own session, so that a Ctrl-C at the terminal reaches the stack alone.
                start_new_session=True,
            )
        if self._stop.is_set():
            # Who asked for it while there was no process yet had nothing to signal.
            self._signal(signal.SIGTERM)
        self.pid, self.started_at, self.born = self._process.pid, time.time(), birth(self._process.pid)
        self.guardian.tell("+", self.pid)
        self.changed()
        return self._process

    def _came_up(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + self.service.ready_seconds
        while time.monotonic() < deadline and not self._stop.is_set():
            if process.poll() is not None:
                return False
            if self.service.is_ready():
                return True
            self._stop.wait(_PROBE_SECONDS)
        if not self._stop.is_set():
            self.problem = f"{self.service.name} was not ready after {self.service.ready_seconds:g} s"
            self._signal(signal.SIGKILL)
        return False

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        """Its exit status, once it has ended. One that is lost is ended."""
        while True:
            try:
                return process.wait(None if self.service.is_lost is None else _LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if self.service.is_lost is not None and self.service.is_lost():
                    self._signal(signal.SIGKILL)

    def _resumed(self) -> bool:
        """After a restart: bring back what the process held in memory."""
        if not self._settled.is_set() or self.service.after_restart is None:
            return True
        try:
            self.service.after_restart()
        except Exception as error:  # noqa: BLE001  whatever it was, the next restart tries again
            self.problem = f"{self.service.name} came back, but: {error}"
            self._signal(signal.SIGKILL)
            return False
        return True

    def _end_group(self, pid: int) -> None:
        """End what a dead process has left behind, before its successor starts."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self.guardian.tell("-", pid)

    def _become(self, state: State) -> None:
        self.state = state
        self.changed()


def _how(status: int) -> str:
    if status < 0:
        return f" (killed by {signal.Signals(-status).name})"
    return f" (exit status {status})"
