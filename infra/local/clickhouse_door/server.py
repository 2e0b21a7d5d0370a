"""The listening side: takes connections, and ends in order."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from .engine import Engine
from .handler import Door
from .limits import Gate
from .space import Space


class DoorServer(ThreadingHTTPServer):
    """One thread a connection. It listens before there is an engine, so a taken port is found out first."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Door)
        self._accept: threading.Thread | None = None

    def start(self, engine: Engine, gate: Gate, space: Space, limit_bytes: int) -> None:
        self.RequestHandlerClass = type(
            "BoundDoor", (Door,), {"engine": engine, "gate": gate, "space": space, "limit_bytes": limit_bytes}
        )
        self._accept = threading.Thread(target=self.serve_forever, args=(0.1,), name="accept", daemon=True)
        self._accept.start()

    def stop_accepting(self) -> None:
        if self._accept is not None:
            self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        # The parent looks the host's name up, which can hang where there is no resolver.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"clickhouse door: {error!r} from {client_address}", file=sys.stderr, flush=True)
