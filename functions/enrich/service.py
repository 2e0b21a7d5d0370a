"""Enrich: queue messages in, both tables written, and the messages that must come again out."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from functions.enrich.assembly import Arrival, Assembler, finish, unreadable
from functions.enrich.pipeline import Step, enrich
from functions.shared.domain import ids, instants
from functions.shared.ports import EventStore
from schemas.envelope import EnvelopeError, unpack
from schemas.rows import Delivery, RawRow


class Incoming(NamedTuple):
    """A message as the event source hands it over. ``id`` is what it is acknowledged by."""

    id: str
    body: bytes
    queued_at: int
    attempt: int


class Enriched(NamedTuple):
    """What became of a block of messages: those to send again, counts, and nanoseconds per step."""

    again: list[str]
    counts: dict[str, int]
    step_ns: dict[str, int]


class EnrichService:
    """The one call the queue handler makes."""

    def __init__(
        self,
        store: EventStore,
        assembler: Assembler,
        steps: Sequence[Step],
        clock: Callable[[], int],
        report: Callable[[str, Exception], None],
    ) -> None:
        self._store = store
        self._assembler = assembler
        self._steps = tuple(steps)
        self._clock = clock
        self._report = report

    def handle(self, messages: Sequence[Incoming]) -> Enriched:
        """Record every event of the messages; raises :class:`StoreUnavailable` when none may be acknowledged."""
        started = self._clock()
        with _without_collector():
            deliveries, again, step_ns = self._prepare(messages)
            prepared = self._clock()
            written = self._store.record(deliveries)
            counts = {"messages": len(messages), "messages_again": len(again), "events": len(deliveries)}
            counts |= self._step_failures(deliveries)
            # Gone before the collector is back, which would look at every row once more.
            del deliveries
        counts |= {"stored": written.stored, "failed": written.failed, "duplicates": written.duplicates}
        step_ns["assemble"] = prepared - started - sum(step_ns.values())
        step_ns["record"] = self._clock() - prepared
        return Enriched(again, counts, step_ns)

    def preview(self, messages: Sequence[Incoming]) -> dict[str, list[dict[str, Any]]]:
        """Exactly the rows that :meth:`handle` would store; nothing is."""
        deliveries, _, _ = self._prepare(messages)
        return {
            "raw": [_shown(delivery.raw) for delivery in deliveries],
            "processed": [_shown(delivery.processed) for delivery in deliveries if delivery.processed is not None],
        }

    def _step_failures(self, deliveries: Sequence[Delivery]) -> dict[str, int]:
        """How many events each step failed on, ``<step>_failed``; the steps that failed on none are left out."""
        flags = Counter(flag for delivery in deliveries if delivery.raw.flags for flag in delivery.raw.flags)
        return {name: flags[name] for name in (f"{step.name}_failed" for step in self._steps) if name in flags}

    def _prepare(self, messages: Sequence[Incoming]) -> tuple[list[Delivery], list[str], dict[str, int]]:
        now = self._clock()
        good: list[Delivery] = []
        bad: list[RawRow] = []
        again: list[str] = []
        step_ns = {step.name: 0 for step in self._steps}
        for message in messages:
            try:
                deliveries, failed = self._read(message, now, step_ns)
            except Exception as error:  # noqa: BLE001 - the record loop: one message must not cost its neighbours
                self._report(message.id, error)
                again.append(message.id)
                continue
            good += deliveries
            bad += failed
        return good + [Delivery(row, None) for row in bad], again, step_ns

    def _read(self, message: Incoming, now: int, step_ns: dict[str, int]) -> tuple[list[Delivery], list[RawRow]]:
        """All of one message or, when it raises, nothing of it."""
        arrival = Arrival(message.queued_at, message.attempt)
        try:
            envelope = unpack(message.body)
        except EnvelopeError as error:
            return [], [unreadable(message.body, arrival, now, str(error))]
        deliveries: list[Delivery] = []
        failed: list[RawRow] = []
        for part in self._assembler.assemble(envelope, arrival, now):
            for name, spent in enrich(part.rows, self._steps, self._clock).items():
                step_ns[name] += spent
            deliveries += map(finish, part.rows)
            failed += part.failed
        return deliveries, failed


@contextmanager
def _without_collector() -> Iterator[None]:
    """A block's rows hold no cycles, and are many: looking for some would take a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_TIMES = frozenset({"received_at", "timestamp", "processed_at", "queued_at"})


def _shown(row: Any) -> dict[str, Any]:
    """A row as JSON a person can read: times as RFC 3339, the nil session as null."""
    shown = {name: instants.to_text(value) if name in _TIMES else value for name, value in row._asdict().items()}
    shown["session_id"] = None if shown["session_id"] == ids.NIL else shown["session_id"]
    return shown
