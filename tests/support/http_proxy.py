"""An HTTP proxy in front of one server, for ClickHouse's interface: it can be slow, refuse, or lose answers."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote_plus

_HEAD_BYTES = 2000
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


class Asked(NamedTuple):
    """A request: its statement is in the address, or the body begins with it."""

    path: str
    body: bytes

    @property
    def statement(self) -> str:
        """Where a statement's words can be looked for."""
        return unquote_plus(self.path) + "\n" + self.body[:_HEAD_BYTES].decode("utf-8", "replace")

    def inserts_into(self, table: str) -> bool:
        """Whether rows are written to a table."""
        return f"INSERT INTO {table}" in self.statement.replace("`", "")


class Answered(NamedTuple):
    """An answer, of the server or of a rule."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Gone(Exception):
    """Raised by a rule: the connection ends without an answer."""


Forward = Callable[[Asked], Answered]
Rule = Callable[[Asked, Forward], Answered]


def plainly(asked: Asked, forward: Forward) -> Answered:
    """Forward all as it is."""
    return forward(asked)


def store_error(code: int, name: str) -> Answered:
    """What ClickHouse says when it fails."""
    text = f"Code: {code}. DB::Exception: Told to fail. ({name})\n"
    return Answered(500, [("X-ClickHouse-Exception-Code", str(code)), ("Content-Type", "text/plain")], text.encode())


class HttpProxy:
    """Forwards to a port of 127.0.0.1. ``rule`` may be set at any time, and holds for the requests that come then."""

    def __init__(self, target_port: int, port: int) -> None:
        self.port = port
        self.rule: Rule = plainly
        self._target = target_port
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def plainly(self) -> None:
        """Forward all again as it is."""
        self.rule = plainly

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.link = http.client.HTTPConnection("127.0.0.1", proxy._target)

            def finish(self) -> None:
                self.link.close()
                super().finish()

            def do_GET(self) -> None:
                body = b"".join(self._body())
                try:
                    answered = proxy.rule(Asked(self.path, body), self._forward)
                except (Gone, OSError, http.client.HTTPException):
                    self.close_connection = True
                    self.link.close()
                    return
                self._answer(answered)

            do_POST = do_HEAD = do_GET

            def _forward(self, asked: Asked) -> Answered:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                try:
                    return self._once(asked, headers)
                except ConnectionError:
                    # As a client does whose connection had gone stale while idle; a server that is down stays so.
                    self.link.close()
                    return self._once(asked, headers)

            def _once(self, asked: Asked, headers: dict[str, str]) -> Answered:
                self.link.request(self.command, asked.path, asked.body or None, headers)
                answer = self.link.getresponse()
                kept = [one for one in answer.getheaders() if one[0].lower() not in _HOP]
                return Answered(answer.status, kept, answer.read())

            def _answer(self, answered: Answered) -> None:
                with contextlib.suppress(OSError):
                    self.send_response_only(answered.status)
                    for name, value in answered.headers:
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answered.body)))
                    self.end_headers()
                    self.wfile.write(answered.body)

            def _body(self) -> Iterator[bytes]:
                if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
                    yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    return
                while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

        return Handler
