"""How long ``GET /api/v1/events`` takes on many events. ``python -m benchmarks.query [--events 10000000] [--runs 40]``.

Fills ``processed_events`` of a ClickHouse door in a temporary folder with synthetic events by SQL, then asks through
the real service and reader over HTTP. Every run asks for another value, so that no answer comes from a cache of the
one before. Times are milliseconds of the whole call: query, transfer, and the JSON of the answer.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from functions.serve import cursor, params, views
from functions.serve.service import ServeService
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.edge import Request, answering
from functions.shared.ports import Depth
from tests.support.serve_store import Store, running_store

GOAL_MS = 300
BLOCK = 500_000
START = 1_785_542_400  # 2026-08-01
DAYS = 60
USERS = 500_000
SKUS = 5_000

_FILL = """
INSERT INTO {database}.processed_events (event_id, raw_event_id, received_at, timestamp, processed_at, stored_at,
  platform, event_type, event_name, session_id, user_id, anonymous_id, properties_text, context_text, metrics_text,
  geo_country, browser_name, page_url, is_bot, digest, batch_id)
WITH
  number AS n,
  cityHash64(n) AS h,
  h % {users} AS user,
  toDateTime64({start}, 9, 'UTC') + toIntervalMicrosecond(n * {step}) AS at,
  reinterpretAsUUID(MD5(toString(n))) AS id,
  ['web', 'ios', 'android'] AS platforms,
  ['page_view', 'click', 'purchase', 'identify'] AS types,
  ['free', 'pro', 'team', 'trial'] AS plans
SELECT
  id, id, at + toIntervalMillisecond(h % 2000), at, at + toIntervalMillisecond(h % 2000 + 300),
  at + toIntervalMillisecond(h % 2000 + 500), platforms[h % 3 + 1], types[h % 4 + 1],
  if(h % 100000 = 0, 'rare', concat('event_', toString(h % 20))),
  reinterpretAsUUID(concat(reinterpretAsString(cityHash64(user, intDiv(n, {block}))), reinterpretAsString(user + 1))),
  if(h % 5 < 3, reinterpretAsUUID(concat(reinterpretAsString(cityHash64(user)), reinterpretAsString(user + 1))), NULL),
  concat('anon-', toString(user)),
  concat('{{"plan":"', plans[h % 4 + 1], '","amount":', toString((h % 100000) / 100), ',"sku":"sku-',
    toString(h % {skus}), '","order_id":"o-', toString(n), '","items":', toString(h % 7), '}}'),
  concat('{{"user_agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/', toString(100 + h % 40), '","locale":"en-US",',
    '"page":{{"url":"https://shop.example/p/', toString(h % {skus}), '","referrer":"https://search.example/"}}}}'),
  '{{"ingestion_lag_ms":300,"payload_bytes":600}}', 'DE', 'Chrome', 'https://shop.example/', false,
  lower(hex(SHA256(toString(n)))), id
FROM numbers({first}, {count})
"""


def fill(store: Store, events: int) -> None:
    """Insert the events in blocks, a month or two at a time."""
    step = DAYS * 86_400 * 1_000_000 // events
    for first in range(0, events, BLOCK):
        count = min(BLOCK, events - first)
        fields = {"users": USERS, "skus": SKUS, "start": START, "step": step, "block": BLOCK}
        store.client.command(_FILL.format(**fields, database=store.database, first=first, count=count))
        print(f"\r{first + count:,} events", end="", flush=True)
    print()


class Bench:
    """Asks questions and keeps the times."""

    def __init__(self, reader: ClickHouseReader, events: int, runs: int) -> None:
        self._reader = reader
        self._service = ServeService(reader, lambda: Depth(0, 0, 0), [], time.time_ns)
        self._chance = random.Random(1)
        self._runs = runs
        self._events = events
        self.worst = 0.0

    def measure(self, name: str, ask: Callable[[], dict[str, str]]) -> None:
        """Time the question; it makes another one each time it is called."""
        times, found = [], 0
        self._get(ask())
        for _ in range(self._runs):
            given = ask()
            began = time.perf_counter()
            found += len(self._get(given)["events"])
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        self.worst = max(self.worst, p95)
        note = "" if p95 < GOAL_MS else "  over the goal"
        print(f"{name:44}{found / self._runs:9.1f}{p50:9.0f}{p95:9.0f}{note}", flush=True)

    def pick(self) -> int:
        return self._chance.randrange(self._events)

    def a_row(self) -> dict[str, str]:
        """Ids of an event somewhere in the middle, with a user."""
        at = START + self._chance.randrange(DAYS * 86_400 - 3_600)
        sql = (
            "SELECT toString(event_id), toString(user_id), anonymous_id, toString(session_id) FROM processed_events"
            " WHERE timestamp >= fromUnixTimestamp64Nano({at:Int64}) AND user_id IS NOT NULL ORDER BY timestamp LIMIT 1"
        )
        [row] = self._reader.rows(sql, {"at": at * 1_000_000_000})
        return dict(zip(("event_id", "user_id", "anonymous_id", "session_id"), row, strict=True))

    def deep(self, **given: str) -> dict[str, str]:
        """The same question, begun at a place deep inside, as page 1,000 is."""
        column = given.get("order_by", "timestamp")
        at = (START + self._chance.randrange(DAYS * 86_400)) * 1_000_000_000
        position = cursor.Position(at, "80000000-0000-0000-0000-000000000000")
        assert column in ("timestamp", "stored_at")
        scope = cursor.scope(params.events_query({name: [value] for name, value in given.items()}))
        return {**given, "cursor": cursor.encode(position, scope)}

    def _get(self, given: dict[str, str]) -> Any:
        request = Request(params={name: [value] for name, value in given.items()}, path="/api/v1/events")
        answer = answering(lambda one: views.events(self._service, one))(request)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


def questions(bench: Bench) -> Iterator[tuple[str, Callable[[], dict[str, str]]]]:
    """What is asked, by name."""
    yield "page 1", lambda: {"limit": str(100 + bench.pick() % 3)}
    yield "page 1, limit 1000", lambda: {"limit": str(998 + bench.pick() % 3)}
    yield "page 1, oldest first", lambda: {"order": "asc", "limit": str(100 + bench.pick() % 3)}
    yield "page 1,000", bench.deep
    yield "page 1,000, limit 1000", lambda: bench.deep(limit="1000")
    for name in ("event_id", "user_id", "anonymous_id", "session_id"):
        yield name, lambda name=name: {name: bench.a_row()[name]}  # type: ignore[misc]
    yield "event_name (1 in 20)", lambda: {"event_name": f"event_{bench.pick() % 20}"}
    yield "event_name (1 in 100,000), page 1,000", lambda: bench.deep(event_name="rare")
    yield "event_name (none)", lambda: {"event_name": f"none-{bench.pick()}"}
    yield "properties.plan (1 in 4)", lambda: bench.deep(**{"properties.plan": "pro"})
    yield "properties.sku (1 in 5,000)", lambda: {"properties.sku": f"sku-{bench.pick() % SKUS}"}
    yield "properties.sku, page 1,000", lambda: bench.deep(**{"properties.sku": f"sku-{bench.pick() % SKUS}"})
    yield "properties.order_id (1 in all)", lambda: {"properties.order_id": f"o-{bench.pick()}"}
    yield "properties.order_id (none)", lambda: {"properties.order_id": f"none-{bench.pick()}"}
    yield "properties.amount[gte] (1 in 1,000)", lambda: {"properties.amount[gte]": f"{999 + bench.pick() % 10 / 100}"}
    yield "context.page.url (1 in 5,000)", lambda: {"context.page.url": f"https://shop.example/p/{bench.pick() % SKUS}"}
    yield "user_id and properties.plan", lambda: {"user_id": bench.a_row()["user_id"], "properties.plan": "pro"}
    yield "stored_at, oldest first, page 1,000", lambda: bench.deep(order_by="stored_at", order="asc")
    yield "stored_at, newest first", lambda: {"order_by": "stored_at", "limit": str(100 + bench.pick() % 3)}
    # No index can help here: every event is looked at. Kept to know what it costs.
    yield "properties.amount[gt] (none)", lambda: {"properties.amount[gt]": str(5_000 + bench.pick())}


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--data", type=Path, help="a folder to keep, and to use again")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-query-")))
        store = stack.enter_context(running_store(folder))
        if not store.client.command(f"SELECT count() FROM {store.database}.processed_events"):
            fill(store, options.events)
        bench = Bench(ClickHouseReader(store.url, store.database), options.events, options.runs)
        print(f"{'':44}{'found':>9}{'p50 ms':>9}{'p95 ms':>9}")
        for name, ask in questions(bench):
            bench.measure(name, ask)


if __name__ == "__main__":
    main()
