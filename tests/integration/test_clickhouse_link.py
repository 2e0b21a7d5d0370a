"""What is no store, or breaks off, on the other side of the connection: every adapter says that the store is away."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings

# What clickhouse-connect asks as it connects, and what is asked then.
ANSWERS: dict[str, tuple[dict[str, str], bytes]] = {
    "a page of something else": ({"Content-Type": "text/html"}, b"<html>Sign in to the network</html>"),
    "nothing": ({}, b""),
    "no lz4, as it says": ({"Content-Encoding": "lz4"}, b"26.1\tUTC"),
    "no zstd, as it says": ({"Content-Encoding": "zstd"}, b"26.1\tUTC"),
    "no gzip, as it says": ({"Content-Encoding": "gzip"}, b"26.1\tUTC"),
    "no text": ({}, b"\xff\xfe\x00"),
}
ADAPTERS: dict[str, Callable[[StoreSettings], Any]] = {
    "batch": lambda to: list(ClickHouseBatch(to, 5).rows("SELECT 1", {})),
    "reader": lambda to: list(ClickHouseReader(to.clickhouse_url, "weir", seconds=5).rows("SELECT 1", {})),
    "tables": lambda to: ClickHouseTables(to).running(),
}


@pytest.fixture(params=ANSWERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where everything is answered with the same."""
    headers, body = ANSWERS[request.param]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_is_no_store_is_an_absent_one(url: str, adapter: str) -> None:
    with pytest.raises(StoreUnavailable):
        ADAPTERS[adapter](StoreSettings(clickhouse_url=url))


def test_an_answer_that_is_no_json_is_none() -> None:
    class Client:
        def raw_query(self, *_: Any, **__: Any) -> bytes:
            return b'["a", 1]\n["b"'

    tables = ClickHouseTables(StoreSettings())
    tables._link.client = Client  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        tables.running()
