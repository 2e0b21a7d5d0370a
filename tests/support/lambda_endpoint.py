"""A small Lambda endpoint for tests: speaks POST /2015-03-31/functions/NAME/invocations and nothing else."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.support.nats import free_port


class Reply(NamedTuple):
    """What the endpoint says. ``error`` becomes the X-Amz-Function-Error header."""

    body: Any = None
    status: int = 200
    error: str = ""


Handler = Callable[[list[dict[str, Any]]], Reply]


class LambdaEndpoint:
    """Runs ``handler`` for each invocation, in a thread each. Can be closed and opened again on the same port."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.port = free_port()
        self.invocations: list[list[dict[str, Any]]] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self) -> list[list[str]]:
        """The bodies of each invocation, in order of arrival."""
        return [[record["body"] for record in records] for records in list(self.invocations)]

    def open(self) -> "LambdaEndpoint":
        endpoint = self

        class Post(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.invocations.append(event["Records"])
                reply = endpoint.handler(event["Records"])
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(body)))
                if reply.error:
                    self.send_header("X-Amz-Function-Error", reply.error)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Post)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
