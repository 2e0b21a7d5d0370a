"""A real ClickHouse engine behind its HTTP interface, on a free port in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from infra.clickhouse.migrate import migrate
from tests.support.polling import until

ROOT = Path(__file__).parents[2]


class ClickHouse:
    """One server process that can be killed and started again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "infra.local.clickhouse_door", "--data", str(self._folder)]
        command += ["--port", str(self.port), "--parent-pid", str(os.getpid())]
        with (self._folder.parent / "clickhouse.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        until(self._answers, 30, "ClickHouse")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ended(self) -> bool:
        """Whether its process ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def with_tables(folder: Path) -> Iterator[ClickHouse]:
    """A server with Weir's tables in the database `weir`, until the end, however that comes."""
    server = ClickHouse(folder / "data")
    try:
        server.start()
        migrate(server.url, "weir")
        yield server
    finally:
        server.stop()
