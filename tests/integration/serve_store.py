"""A ClickHouse with the tables of this release, and deliveries to put into it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect

from functions.enrich.recording import Recorder
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.domain import ids
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas.rows import Delivery, ProcessedRow, RawRow
from tests.support.clickhouse import ClickHouse

NOW = 1_767_225_600_000_000_000
_FAULTS = '[{"loc":["platform"],"code":"required","message":"It is missing."}]'


def delivery(*, failed: bool = False, properties: str = "{}", context: str = "{}", **changed: Any) -> Delivery:
    """A delivery of an event like any other, but for what is given."""
    event_id = changed.get("event_id") or str(uuid.uuid4())
    user_ref = changed.get("user_ref", "")
    common: dict[str, Any] = {
        "event_id": event_id,
        "raw_event_id": event_id,
        "received_at": NOW,
        "timestamp": NOW,
        "processed_at": NOW,
        "queued_at": NOW,
        "platform": "web",
        "event_type": "page_view",
        "event_name": "viewed",
        "session_id": ids.NIL,
        "user_id": ids.named("user", user_ref) if user_ref else None,
        "properties_text": properties,
        "context_text": context,
        "metrics_text": '{"payload_bytes":7}',
        "raw_data": f'{{"properties":{properties}}}',
        "processing_status": "failed" if failed else "processed",
        "error_message": _FAULTS if failed else "",
        "error_codes": ["required"] if failed else [],
        "flags": [],
        "batch_id": str(uuid.uuid4()),
        "batch_index": 0,
        "batch_size": 1,
        "envelope_version": 2,
        "attempt": 1,
        "geo_latitude": None,
        "geo_longitude": None,
        "is_bot": False,
        "bot_reasons": [],
        "local_hour": None,
        "local_weekday": None,
        **changed,
    }
    common["digest"] = hashlib.sha256(repr(sorted(common.items(), key=str)).encode()).hexdigest()
    raw = RawRow._make(common.get(name, "") for name in RawRow._fields)
    processed = ProcessedRow._make(common.get(name, "") for name in ProcessedRow._fields)
    return Delivery(raw, None if failed else processed)


# What makes filters on properties and context cheap; the reader is right without.
_INDEXES = {
    "processed_events": ("properties", "context"),
    "raw_events": ("properties", "context"),
}


class Store:
    """A migrated store, written to by the real recorder."""

    database = "weir"

    def __init__(self, url: str) -> None:
        self.url = url
        migrate(url, self.database)
        self.client = clickhouse_connect.get_client(
            dsn=url, database=self.database, autogenerate_session_id=False, send_receive_timeout=600
        )
        for table, documents in _INDEXES.items():
            for name in documents:
                self.client.command(
                    f"ALTER TABLE {table} ADD INDEX IF NOT EXISTS values_of_{name} JSONAllValues({name})"
                    " TYPE bloom_filter(0.01) GRANULARITY 1"
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
