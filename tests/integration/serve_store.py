"""A ClickHouse with the tables of this release, and deliveries to put into it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect

from functions.shared.domain import ids
from schemas.rows import Delivery, ProcessedRow, RawRow

ROOT = Path(__file__).parents[2]
NOW = 1_767_225_600_000_000_000
_FAULTS = '[{"loc":["platform"],"code":"required","message":"It is missing."}]'
_TIMES = ("received_at", "timestamp", "processed_at", "queued_at")


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


class Store:
    """Writes deliveries as the store does: all of them into the ledger, the first of an event into the tables."""

    def __init__(self, url: str, database: str) -> None:
        self.url = url
        self.database = database
        port = int(url.rpartition(":")[2])
        self.client = clickhouse_connect.get_client(
            host="127.0.0.1", port=port, autogenerate_session_id=False, send_receive_timeout=600
        )
        self._known: set[str] = set()

    def record(self, deliveries: Sequence[Delivery]) -> None:
        now, attempt = time.time_ns(), str(uuid.uuid4())
        ledger = [
            {
                **{
                    name: getattr(one.raw, name) for name in ("event_id", "digest", "batch_id", "batch_index", "key_id")
                },
                "failed": one.processed is None,
                "received_at": _time(one.raw.received_at),
                "timestamp": _time(one.raw.timestamp),
                "attempt_id": attempt,
                "recorded_at": _time(now),
            }
            for one in deliveries
        ]
        self._insert("event_deliveries", ledger)
        new = [one for one in deliveries if one.raw.event_id not in self._known]
        self._known |= {one.raw.event_id for one in new}
        stamp = {"stored_at": _time(now), "attempt_id": attempt}
        self._insert("processed_events", [{**_row(one.processed), **stamp} for one in new if one.processed])
        self._insert("raw_events", [{**_row(one.raw), **stamp} for one in new])

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        lines = "\n".join(json.dumps(row) for row in rows).encode()
        settings = {
            "input_format_try_infer_dates": 0,
            "input_format_try_infer_datetimes": 0,
            "type_json_skip_duplicated_paths": 1,
        }
        self.client.raw_insert(f"{self.database}.{table}", insert_block=lines, fmt="JSONEachRow", settings=settings)


def _row(row: Any) -> dict[str, Any]:
    return {name: _time(value) if name in _TIMES else value for name, value in row._asdict().items()}


def _time(nanoseconds: int) -> str:
    """Decimal seconds, which ClickHouse reads without rounding."""
    return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"


@contextmanager
def running_store(folder: Path) -> Iterator[Store]:
    """A ClickHouse door over an empty folder, with the tables made."""
    port = _free_port()
    command = [sys.executable, "-m", "infra.local.clickhouse_door", "--data", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        store = Store(f"http://127.0.0.1:{port}", "weir")
        make_tables(store)
        yield store
    finally:
        process.terminate()
        process.wait(15)


def _wait(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the door did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_JSON = "JSON(max_dynamic_paths = 256)"
_TYPES: dict[str, str] = {
    **dict.fromkeys((*_TIMES, "stored_at", "recorded_at"), "DateTime64(9, 'UTC')"),
    **dict.fromkeys(("event_id", "raw_event_id", "session_id", "batch_id", "attempt_id"), "UUID"),
    **dict.fromkeys(("batch_index", "batch_size", "envelope_version", "attempt"), "UInt32"),
    **dict.fromkeys(("error_codes", "flags", "bot_reasons"), "Array(String)"),
    **dict.fromkeys(("geo_latitude", "geo_longitude"), "Nullable(Float64)"),
    **dict.fromkeys(("local_hour", "local_weekday"), "Nullable(UInt8)"),
    **dict.fromkeys(("is_bot", "failed"), "Bool"),
    "user_id": "Nullable(UUID)",
    "processing_status": "Enum8('pending' = 0, 'processed' = 1, 'failed' = 2)",
}
_LEDGER = (
    "event_id",
    "failed",
    "received_at",
    "digest",
    "attempt_id",
    "batch_id",
    "batch_index",
    "key_id",
    "timestamp",
)
# What the reader's questions rely on to pass over what cannot match; they are right without.
_INDEXES = (
    *(f"INDEX by_{name} {name} TYPE bloom_filter(0.001)" for name in ("event_id", "user_id", "session_id")),
    *(f"INDEX by_{name} {name} TYPE bloom_filter(0.001)" for name in ("anonymous_id", "event_name")),
    *(f"INDEX values_of_{name} JSONAllValues({name}) TYPE bloom_filter(0.01)" for name in ("properties", "context")),
    "INDEX by_stored_at stored_at TYPE minmax",
)


def make_tables(store: Store) -> None:
    """Tables with the columns of the rows, and the indexes that the reader's questions rely on."""
    settings = {"input_format_try_infer_dates": 0, "input_format_try_infer_datetimes": 0}
    store.client.command(f"CREATE DATABASE IF NOT EXISTS {store.database}")
    tables = {
        "raw_events": (*RawRow._fields, "attempt_id", "stored_at"),
        "processed_events": (*ProcessedRow._fields, "attempt_id", "stored_at"),
        "event_deliveries": (*_LEDGER, "recorded_at"),
    }
    for table, names in tables.items():
        columns = [f"{name} {_TYPES.get(name, 'String')}" for name in names]
        for text in (name for name in names if name in ("properties_text", "context_text", "metrics_text")):
            columns.append(f"{text.removesuffix('_text')} {_JSON} DEFAULT {text}::{_JSON}")
        if table == "event_deliveries":
            order, columns = "event_id", [*columns, "INDEX by_batch_id batch_id TYPE bloom_filter(0.001)"]
        else:
            order, columns = "(timestamp, event_type, event_id)", [*columns, *_INDEXES]
        store.client.command(
            f"CREATE TABLE IF NOT EXISTS {store.database}.{table} ({', '.join(columns)})"
            f" ENGINE = MergeTree ORDER BY {order}",
            settings=settings,
        )
