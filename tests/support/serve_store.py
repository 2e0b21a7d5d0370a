"""A ClickHouse with the tables of this release, and deliveries to put into it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect

from functions.enrich.recording import Recorder
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas.rows import Delivery
from tests.support.clickhouse import ClickHouse


class Store:
    """A migrated store, written to by the real recorder."""

    database = "weir"

    def __init__(self, url: str) -> None:
        self.url = url
        migrate(url, self.database)
        self.client = clickhouse_connect.get_client(
            dsn=url, database=self.database, autogenerate_session_id=False, send_receive_timeout=600
        )
        settings = StoreSettings(clickhouse_url=url, clickhouse_database=self.database)
        self._recorder = Recorder(ClickHouseTables(settings), lambda: str(uuid.uuid4()))

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Write the deliveries as enrich does."""
        self._recorder.record(deliveries)


@contextmanager
def running_store(folder: Path) -> Iterator[Store]:
    """A ClickHouse over a folder, with the tables made."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    server = ClickHouse(data)
    server.start()
    try:
        yield Store(server.url)
    finally:
        server.stop()
