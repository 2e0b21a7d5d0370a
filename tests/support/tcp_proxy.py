"""A TCP proxy that can lose things: cut a connection at the first answer, or swallow everything without a word."""

import contextlib
import socket
import threading
from collections.abc import Callable

from tests.support.nats import free_port


def _as_it_is(data: bytes) -> bytes:
    return data


class TcpProxy:
    """Forwards to a port of 127.0.0.1. ``cut_answers``, ``swallow`` and ``rewrite`` may be set while connections are
    open; ``rewrite`` changes what clients send. A target that is away is as away for the clients."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.port = port or free_port()
        self.cut_answers = 0
        self.swallow = False
        self.rewrite: Callable[[bytes], bytes] = _as_it_is
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection. Shut down first: a close alone does not wake the threads that read."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def plainly(self) -> None:
        """Forward all again as it is."""
        self.rewrite, self.cut_answers = _as_it_is, 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            # What was opened before the swallowing began stays silent; what is opened later works.
            silenced = threading.Event()
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, answers, silenced), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool, silenced: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.swallow:
                    self.swallow = False
                    silenced.set()
                if silenced.is_set():
                    continue
                if answers and self.cut_answers and b'"seq"' in data:
                    self.cut_answers -= 1
                    break
                sink.sendall(data if answers else self.rewrite(data))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
