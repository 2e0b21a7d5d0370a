"""HTTP in, HTTP out: one thread a connection, one request after the other."""

from __future__ import annotations

import secrets
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import urlsplit

from . import execute
from .body import Body, gather
from .engine import Engine
from .errors import DoorError, error_body
from .limits import Gate
from .request import is_form, parse_form, parse_request
from .space import Space

_FIRST_BYTES = 64 << 10
_IDLE_SECONDS = 600
_HANG_UP_SECONDS = 2.0
_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
}


class Door(BaseHTTPRequestHandler):
    """Answers one client. `engine`, `gate`, `space` and `limit_bytes` are set by the server that makes the class."""

    engine: ClassVar[Engine]
    gate: ClassVar[Gate]
    space: ClassVar[Space]
    limit_bytes: ClassVar[int]

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path in ("/ping", "/replicas_status") or (path == "/" and "?" not in self.path):
            self._send(200, [], b"Ok.\n")
        else:
            self._query(path)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._query(urlsplit(self.path).path)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of ordinary requests."""

    def _query(self, path: str) -> None:
        self._query_id = self.headers.get("X-ClickHouse-Query-Id") or ""
        self._started = False
        body: Body | None = None
        try:
            if path != "/":
                self._send(404, [], f"There is no handle {path}\n".encode())
                return
            body = Body(self.rfile, self.headers, self.limit_bytes)
            self._answer(body)
        except DoorError as error:
            self._fail(error)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # noqa: BLE001  the request loop: whatever it was, the client is told
            print(f"clickhouse door: {error!r}", file=sys.stderr, flush=True)
            self._fail(DoorError(1002, "UNKNOWN_EXCEPTION", repr(error)))
        if body is None or not body.drain():
            self._hang_up()

    def _hang_up(self) -> None:
        """Close with a body half read: a bare close would reset the answer just sent."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_HANG_UP_SECONDS)
            until = time.monotonic() + _HANG_UP_SECONDS
            while time.monotonic() < until and self.rfile.read1(_FIRST_BYTES):
                pass

    def _answer(self, body: Body) -> None:
        """Run the request. The connection is given back before the last byte goes out, so that a client which
        asks again at once finds its session free."""
        pieces = body.pieces()
        content_type = self.headers.get("Content-Type") or ""
        form = parse_form(content_type, b"".join(pieces)) if is_form(content_type) else {}
        request = parse_request(self.command, self.path, self.headers, form)
        self._query_id = request.query_id or str(uuid.uuid4())
        if self.request_version == "HTTP/1.0":
            request.wait_end_of_query = True  # it has no chunks to stream by
        first = gather(pieces, _FIRST_BYTES)
        own = self.engine.connection(request.database, request.settings, request.session)
        with self.gate.turn(), own as connection:
            answer = execute.run(connection, request, first, pieces)
            if answer.format is None:
                self.space.check()
            if answer.pieces is not None:
                with closing(answer.pieces):
                    self._send_pieces(answer, answer.pieces)
        if answer.whole is not None:
            self._send(200, self._result_headers(answer), answer.whole)
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _result_headers(self, answer: execute.Answer) -> list[str]:
        headers = [
            f"X-ClickHouse-Query-Id: {self._query_id}",
            f"X-ClickHouse-Timezone: {self.engine.timezone}",
            "X-ClickHouse-Server-Display-Name: clickhouse-door",
            f"X-ClickHouse-Summary: {answer.summary}",
        ]
        if answer.format is not None:
            headers.append(f"X-ClickHouse-Format: {answer.format}")
            headers.append(f"Content-Type: {_TYPES.get(answer.format, 'text/plain; charset=UTF-8')}")
        return headers

    def _send(self, status: int, headers: list[str], body: bytes | memoryview) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *headers, f"Content-Length: {len(body)}"]
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self._started = True
        if self.command == "HEAD":
            self.wfile.write(head)
        elif len(body) < _FIRST_BYTES:
            self.wfile.write(head + body)
        else:
            self.wfile.write(head)
            self.wfile.write(body)

    def _send_pieces(self, answer: execute.Answer, pieces: Iterator[bytes]) -> None:
        """A result of unknown size. A failure on the way is told in the body, as ClickHouse does, and the
        answer is then left unfinished, so that no client takes a part for the whole."""
        tag = secrets.token_hex(8)
        lines = ["HTTP/1.1 200 OK", *self._result_headers(answer), f"X-ClickHouse-Exception-Tag: {tag}"]
        self.wfile.write("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode("latin-1"))
        self._started = True
        try:
            for piece in pieces:
                self._send_chunk(piece)
        except DoorError as error:
            text = error_body(error, self.engine.version)
            self._send_chunk(
                b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n"
                % (tag.encode(), text, len(text), tag.encode())
            )
            raise

    def _send_chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _fail(self, error: DoorError) -> None:
        if self._started:
            self.close_connection = True
            return
        headers = [
            f"X-ClickHouse-Exception-Code: {error.code}",
            f"X-ClickHouse-Query-Id: {self._query_id}",
            f"X-ClickHouse-Timezone: {self.engine.timezone}",
            "Content-Type: text/plain; charset=UTF-8",
        ]
        self._send(error.status, headers, error_body(error, self.engine.version))
