"""The whole stack on free ports in a folder of its own, every process of it within reach of a signal."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from infra.local import commands, ports, state
from infra.local.functions import STACK_NAME, client
from infra.local.paths import ROOT
from infra.local.stack import PREFERRED
from tests.support.http_proxy import HttpProxy
from tests.support.polling import until
from tests.support.tcp_proxy import TcpProxy

# A machine with much else to do takes minutes to build and deploy the functions.
UP_SECONDS = 600.0
BACK_SECONDS = 120.0
# What was killed with SIGKILL ends at once, unless the kernel holds it.
KILLED_SECONDS = 60.0
_MOUNT_SECONDS = 30.0
# Short waits where the matrix is to be short; else Weir is as it is shipped.
SHORT = {
    "WEIR_NATS_ACK_WAIT_SECONDS": "5",
    "WEIR_EVENT_SOURCE_BACKOFF_SECONDS": "0.3,0.5,1,1",
    "WEIR_EVENT_SOURCE_INVOKE_TIMEOUT_SECONDS": "30",
    "WEIR_CLICKHOUSE_TIMEOUT_SECONDS": "3",
}
_DISK = "size=384m"
# None that the kernel gives to whoever connects: what was killed is to find its own again.
_PORTS = range(20_000, 32_000)


class Rig:
    """Owns the stack. ``disks`` says whether its broker and store are on small file systems of their own."""

    def __init__(self, folder: Path, short: bool) -> None:
        self.folder, self.short = folder, short
        self.data = folder / "data"
        self.disks: dict[str, Path] = {}
        self.no_disks = ""
        self.began = time.time()
        # What the ledger said after the last fault.
        self.ledger: dict[str, int] = {}
        self._settings = SHORT if short else {}
        self._host: subprocess.Popen[str] | None = None
        names = (*PREFERRED, "nats proxy", "clickhouse proxy")
        self.ports: dict[str, int] = {}
        for name in names:
            self.ports[name] = ports.choose(random.choice(_PORTS), set(self.ports.values()))
        self.nats = TcpProxy(self.ports["nats"], self.ports["nats proxy"])
        self.store = HttpProxy(self.ports["clickhouse"], self.ports["clickhouse proxy"])

    @property
    def base_url(self) -> str:
        return f"http://{ports.HOST}:{self.ports['front door']}"

    @property
    def nats_url(self) -> str:
        """The broker itself, past the proxy."""
        return f"nats://{ports.HOST}:{self.ports['nats']}"

    @property
    def clickhouse_url(self) -> str:
        """The store itself, past the proxy."""
        return f"http://{ports.HOST}:{self.ports['clickhouse']}"

    # -- up and down

    def __enter__(self) -> Rig:
        try:
            self._mount()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the stack, on what an earlier one left."""
        command = [sys.executable, "-m", "tests.faults.host", str(self.data), json.dumps(self.ports)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
        with (self.folder / "host.log").open("ab") as log:
            self._host = subprocess.Popen(
                commands.tethered(command),
                cwd=ROOT,
                env={**kept, **self._settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._host.stdout is not None
        with self._host.stdout as told:
            # A pipe is ready when a line came, and when its writer ended.
            came = select.select([told], [], [], UP_SECONDS)[0]
            assert came, f"the stack is not up after {UP_SECONDS:g} s:\n{self._log()}"
            assert told.readline() == "up\n", self._log()
        moved = {name: one["port"] for name, one in self.services().items() if one["port"] != self.ports[name]}
        assert not moved, f"ports that are no longer free: {moved}"

    def _log(self) -> str:
        return (self.folder / "host.log").read_text()[-4000:]

    def kill_everything(self) -> None:
        """kill -9 of the stack and of every service of it, with no time for any of them to say good-bye."""
        assert self._host is not None
        groups = [one["pid"] for one in self.services().values()]
        self._host.kill()
        for pid in groups:
            _signal_group(pid, signal.SIGKILL)
        self._host.wait(KILLED_SECONDS)
        self._host = None

    def close(self) -> None:
        """End all of it."""
        if self._host is not None:
            self._host.send_signal(signal.SIGCONT)
            self._host.terminate()
            try:
                self._host.wait(60)
            except subprocess.TimeoutExpired:
                self.kill_everything()
        self.nats.close()
        self.store.close()
        for disk in self.disks.values():
            command = ["umount", "--lazy", str(disk)]
            subprocess.run(command, check=False, capture_output=True, timeout=_MOUNT_SECONDS)

    def _mount(self) -> None:
        """A small file system each for the broker and the store, where this user may make one."""
        for name in ("nats", "clickhouse"):
            disk = self.data / name
            disk.mkdir(parents=True)
            command = ["mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", str(disk)]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_MOUNT_SECONDS)
            if done.returncode:
                self.no_disks = f"no file system can be mounted here ({done.stderr.strip()})"
                return
            self.disks[name] = disk

    def plainly(self) -> None:
        """Let the proxies forward all as it is."""
        self.nats.plainly()
        self.store.plainly()

    # -- its processes

    def services(self) -> dict[str, dict[str, Any]]:
        """What the stack says of each of its services."""
        found: dict[str, dict[str, Any]] = state.read(self.data)["services"]
        return found

    def end(self, name: str) -> int:
        """kill -9 of a service, and nothing waited for. Returns how often it had come back before."""
        one = self.services()[name]
        _signal_group(one["pid"], signal.SIGKILL)
        return int(one["restarts"])

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a service; the stack starts it again. Returns when it works again."""
        before = self.services()[name]["restarts"]
        _signal_group(self.services()[name]["pid"], number)
        self.wait_back(name, before)

    def wait_back(self, name: str, before: int) -> None:
        """Until a service that was ended works again."""

        def back() -> bool:
            one = self.services()[name]
            return bool(one["restarts"] > before and one["state"] == "ready")

        until(back, BACK_SECONDS, f"{name} is back; it")

    @contextlib.contextmanager
    def down(self, name: str, number: signal.Signals) -> Iterator[None]:
        """While inside, a service is away: who would start it again is halted."""
        assert self._host is not None
        one = self.services()[name]
        self._host.send_signal(signal.SIGSTOP)
        try:
            _signal_group(one["pid"], number)
            until(lambda: not state.birth(one["pid"]), 30, f"the end of {name}")
            yield
        finally:
            self._host.send_signal(signal.SIGCONT)
        self.wait_back(name, one["restarts"])

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """While inside, a service hangs: its connections stay, and nothing is answered."""
        pid = self.services()[name]["pid"]
        _signal_group(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal_group(pid, signal.SIGCONT)

    def kill_function(self, stage: str) -> int:
        """kill -9 of a function's workers. Returns how many there were."""
        found = workers(self.services()["emulator"]["pid"], f"{STACK_NAME}-{stage}")
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    @contextlib.contextmanager
    def full(self, name: str) -> Iterator[None]:
        """While inside, not one byte is free where a service keeps its data."""
        ballast = self.disks[name] / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        try:
            yield
        finally:
            ballast.unlink()

    # -- what is asked of it

    def variables(self) -> dict[str, str]:
        """What a process needs to reach the stack's engines, beside this process's own variables."""
        found: dict[str, str] = state.read(self.data)["variables"]
        return {**os.environ, **found}

    def invoke(self, stage: str) -> dict[str, Any]:
        """Call a function as the schedule does."""
        found = client("lambda", f"http://{ports.HOST}:{self.ports['emulator']}")
        with contextlib.closing(found):
            told = found.invoke(FunctionName=f"{STACK_NAME}-{stage}", Payload=b"{}")
            answer: dict[str, Any] = json.loads(told["Payload"].read())
        return answer

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An answer of the API, which has to be good; asked again while something is still coming up."""
        deadline = time.monotonic() + 60
        while True:
            answer = httpx.get(
                self.base_url + path, params=params, headers={"Authorization": "Bearer rk_local"}, timeout=60
            )
            if answer.status_code not in (429, 503) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:500]}"
        told: dict[str, Any] = answer.json()
        return told


def workers(group: int, function: str) -> list[int]:
    """The processes of a group that run a function, by what their environment says."""
    sign = f"AWS_LAMBDA_FUNCTION_NAME={function}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == group and sign in (folder / "environ").read_bytes() + b"\0":
                found.append(int(folder.name))
    return found


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
