"""A pipe from queue to store in one process, with what replays need; time in the queue is the test's."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import clickhouse_connect

from functions.collect.packing import cut
from functions.enrich.assembly import Assembler
from functions.enrich.drain import Drain
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.refusal import note_all
from functions.enrich.service import EnrichService
from functions.measure.lease import REPLAY, Lease, comment
from functions.measure.replays import listing
from functions.measure.replays.book import Book
from functions.measure.replays.collecting import Collector, Letters
from functions.measure.replays.refusing import Current, Refusals
from functions.measure.replays.request import Filter, Request
from functions.measure.replays.runner import Clock, Runner
from functions.measure.replays.service import ReplayService
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.adapters.clickhouse_suppressions import ClickHouseSuppressions
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.adapters.memory_dead_letters import MemoryDeadLetters
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.domain import ids
from functions.shared.domain.places import GeoLookup
from functions.shared.domain.privacy import Redactor
from functions.shared.ports import DeadMessages, Queue, WriteReport
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas import patch
from schemas.envelope import Header, RequestInfo
from schemas.rows import Delivery, LedgerRow
from schemas.validation import Validator

POISON = "poison"
NOW = 1_767_225_600_000_000_000


class Poisoned:
    """A store whose writer dies of an event that holds the poison."""

    def __init__(self, store: Recorder) -> None:
        self._store = store

    def record(self, deliveries: Sequence[Delivery], parts: Sequence[LedgerRow] = ()) -> WriteReport:
        if any(POISON in one.raw.properties_text for one in deliveries):
            raise RuntimeError("killed by what it read")
        return self._store.record(deliveries, parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Pipe:
    """One database of a server, a queue, and all between."""

    def __init__(
        self,
        url: str,
        geo: GeoLookup | None = None,
        queue: Queue | None = None,
        box: DeadMessages | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.name = f"replay_{uuid.uuid4().hex[:8]}"
        migrate(url, self.name)
        self.settings = StoreSettings(clickhouse_url=url, clickhouse_database=self.name)
        self.client = clickhouse_connect.get_client(dsn=url, database=self.name, autogenerate_session_id=False)
        self.now = 0.0
        memory = MemoryQueue(max_attempts=2, duplicate_window_seconds=0, clock=lambda: self.now)
        self.queue: Queue = queue or memory
        self.box = box or MemoryDeadLetters(memory)
        self.redactor = redactor or Redactor()
        self.database: Letters = ClickHouseBatch(self.settings)
        self.book = Book(self.database, time.time_ns, lambda: str(uuid.uuid4()))
        self.service = ReplayService(self.database, self.book, Validator)
        self.geo = geo
        self.suppressed: Current | None = None
        self.salts: Any = None

    def send(self, events: Sequence[dict[str, Any] | bytes], received_at: int = NOW, **header: Any) -> str:
        """Queue events as collect does; the batch's id."""
        lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        batch_id = str(uuid.uuid4())
        request = RequestInfo(ip="81.2.69.160", user_agent="Mozilla/5.0")
        head = Header(
            batch_id=batch_id, batch_size=len(lines), key_id="k", received_at=received_at, request=request, **header
        )
        self.queue.publish([part.message for part in cut(head, lines, self.queue.max_message_bytes)])
        return batch_id

    def enrich(self, rounds: int = 4) -> None:
        """Take what is there, until it is stored or given up."""
        store = Poisoned(Recorder(ClickHouseTables(self.settings), lambda: str(uuid.uuid4())))
        assembler = Assembler(Validator(), ["amount"], self.redactor, salts=self.salts)
        steps = build_steps(self.geo, daily=self.salts is not None)
        service = EnrichService(store, assembler, steps, time.time_ns, lambda *_: None)
        drain = Drain(self.queue, service, time.monotonic, lambda *_: None)
        for _ in range(rounds):
            drain.run(60)
            self.now += 31

    def collect(self, database: Letters | None = None) -> int:
        own = database or self.database
        return Collector(self.box, own, self.redactor, self.refusals(own)).run(lambda: True)

    def refusals(self, database: Letters) -> Refusals:
        reader = ClickHouseReader(self.settings.clickhouse_url, self.name)
        tables = ClickHouseTables(self.settings)
        return Refusals(
            self.suppressed or ClickHouseSuppressions(reader).current,
            database,
            lambda rows: note_all(tables, ids.NIL, rows),
        )

    def runner(self, database: Letters | None = None, seconds: float = 30.0) -> Runner:
        own = database or self.database
        return Runner(
            own, Book(own, time.time_ns, lambda: str(uuid.uuid4())), self.queue,
            lambda: self.lease(seconds), Clock(time.monotonic, time.sleep),
        )  # fmt: skip

    def lease(self, seconds: float) -> Lease:
        lease_id = str(uuid.uuid4())
        database = ClickHouseBatch(self.settings, own={"log_comment": comment(lease_id, REPLAY)})
        return Lease(database, lease_id, time.time_ns, time.sleep, seconds, REPLAY)

    def replay(self, source: Any, operations: str = "", **which: Any) -> str:
        """Make a replay and do it, to its end; its id."""
        request = Request(source, Filter(**which), patch.read(operations) if operations else ())
        replay_id: str = self.service.create(request)["replay_id"]
        self.go_on(replay_id)
        return replay_id

    def go_on(self, replay_id: str, more: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """Let a replay go on; what is known of it after."""
        self.runner().run(more, replay_id)
        self.enrich()
        self.collect()
        self.runner().run(lambda: False, replay_id)
        return self.service.get(replay_id)

    def letters(self, *states: Any, **which: Any) -> list[dict[str, Any]]:
        found = listing.letters(self.database, Filter(**which), states or listing.OPEN, 1_000, None)
        return [letter for _, letter in found]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return list(self.client.query(sql).named_results())

    def raw(self) -> dict[str, dict[str, Any]]:
        """The raw rows by event; there is one of each."""
        rows = self.rows("SELECT * EXCEPT (properties, context), toString(event_id) AS id FROM raw_events")
        assert len({row["id"] for row in rows}) == len(rows)
        return {row["id"]: row for row in rows}


def event(number: int, **more: Any) -> dict[str, Any]:
    """An event of its own identity."""
    named = {"event_id": ids.named("replay-test", str(number)), "event_name": f"n{number % 3}"}
    return {**named, "event_type": "click", "platform": "web", **more}


def poisoned(number: int) -> dict[str, Any]:
    """One that kills who records it."""
    return event(number, properties={POISON: 1, "plan": "pro"})
