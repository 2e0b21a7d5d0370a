"""Enrich: queue messages in, both tables written, and the messages that must come again out."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

from functions.enrich.assembly import Arrival, Assembler, finish
from functions.enrich.pipeline import Step, enrich
from functions.enrich.steps.step import CacheInfo
from functions.enrich.suppressing import Nobody, Suppressions, refused
from functions.shared.domain import ids, instants, minutes, tallies
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import EventStore
from schemas import tally
from schemas.bundle import deliveries as delivered_in
from schemas.envelope import EnvelopeError, Header
from schemas.owned.judging import VIOLATION
from schemas.rows import Delivery, LedgerRow, RawRow


class Incoming(NamedTuple):
    """A message as the event source hands it over. ``id`` is what it is acknowledged by."""

    id: str
    body: bytes
    queued_at: int
    attempt: int


class Prepared(NamedTuple):
    """A block on its way into the store: its events, its messages for the ledger, and those to send again."""

    deliveries: list[Delivery]
    parts: list[LedgerRow]
    again: dict[str, str]
    step_ns: dict[str, int]


class _Read(NamedTuple):
    deliveries: list[Delivery]
    failed: list[RawRow]
    parts: list[tuple[Header, int]]


class Enriched(NamedTuple):
    """What became of a block of messages: those to send again and why, counts, and nanoseconds per step.

    A cause names an error and does not quote it: a client's values may be in its text.
    """

    again: Mapping[str, str]
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
        host: str = "",
        suppressions: Suppressions | None = None,
    ) -> None:
        """``host`` is where this runs, for the ledger. ``suppressions`` say whose events are dropped."""
        self._suppressions = suppressions or Nobody()
        self._store = store
        self._assembler = assembler
        self._steps = tuple(steps)
        self._caches = {step.name: step.cache for step in self._steps if step.cache is not None}
        self._clock = clock
        self._report = report
        self._host = host

    def handle(self, messages: Sequence[Incoming]) -> Enriched:
        """Record every event of the messages; raises :class:`StoreUnavailable` when none may be acknowledged."""
        started = self._clock()
        kept = {name: cache() for name, cache in self._caches.items()}
        with _without_collector():
            deliveries, parts, again, step_ns = self._prepare(messages)
            prepared = self._clock()
            early = refused(self._suppressions.known(), deliveries)
            deliveries = _but(deliveries, early)
            self._store.forget(early)
            written = self._store.record(deliveries, parts)
            # Asked now that the rows can be read: whoever is erased meanwhile is either among these, or finds them.
            late = refused(self._suppressions.current(), deliveries)
            self._store.forget(late)
            counts = {"messages": len(messages), "messages_again": len(again), "events": len(deliveries)}
            counts |= self._step_failures(deliveries) | _violations(deliveries) | self._cached(kept)
            # Gone before the collector is back, which would look at every row once more.
            del deliveries
        if early or late:
            counts["suppressed"] = len(early) + len(late)
        counts |= {"stored": written.stored, "failed": written.failed, "duplicates": written.duplicates}
        step_ns["assemble"] = prepared - started - sum(step_ns.values())
        step_ns["record"] = self._clock() - prepared
        return Enriched(again, counts, step_ns)

    def preview(self, messages: Sequence[Incoming]) -> dict[str, list[dict[str, Any]]]:
        """Exactly the rows that :meth:`handle` would store; nothing is."""
        deliveries = self._prepare(messages).deliveries
        deliveries = _but(deliveries, refused(self._suppressions.known(), deliveries))
        return {
            "raw": [_shown(delivery.raw) for delivery in deliveries],
            "processed": [_shown(delivery.processed) for delivery in deliveries if delivery.processed is not None],
        }

    def _step_failures(self, deliveries: Sequence[Delivery]) -> dict[str, int]:
        """How many events each step failed on, ``<step>_failed``; the steps that failed on none are left out."""
        flags = Counter(flag for delivery in deliveries if delivery.raw.flags for flag in delivery.raw.flags)
        return {name: flags[name] for name in (f"{step.name}_failed" for step in self._steps) if name in flags}

    def _cached(self, before: Mapping[str, CacheInfo]) -> dict[str, int]:
        """How often each cache had the answer since, and how often not."""
        counts = {}
        for name, cache in self._caches.items():
            now = cache()
            counts[f"{name}_cache_hits"] = now.hits - before[name].hits
            counts[f"{name}_cache_misses"] = now.misses - before[name].misses
        return counts

    def _prepare(self, messages: Sequence[Incoming]) -> Prepared:
        now = self._clock()
        good: list[Delivery] = []
        bad: list[Delivery] = []
        block = Prepared([], [], {}, {step.name: 0 for step in self._steps})
        for message in messages:
            try:
                if message.body.startswith(tally.MARK):
                    block.parts.append(tallies.row(tally.read(message.body)))
                    continue
                deliveries, failed, parts = self._read(message, now, block.step_ns)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the record loop: one message must not cost its neighbours
                self._report(message.id, error)
                block.again[message.id] = type(error).__name__
                continue
            good += deliveries
            bad += [Delivery(row, None) for row in failed]
            block.parts.extend(self._part(*part, message, now) for part in parts)
        return block._replace(deliveries=good + bad)

    def _read(self, message: Incoming, now: int, step_ns: dict[str, int]) -> _Read:
        """All of one message or, when it raises, nothing of it."""
        arrival = Arrival(message.queued_at, message.attempt)
        try:
            delivered = delivered_in(message.body)
        except EnvelopeError as error:
            row = self._assembler.unreadable(message.body, arrival, now, str(error))
            header = Header(batch_id=row.batch_id, batch_size=1, key_id=row.key_id, received_at=row.received_at)
            return _Read([], [row], [(header, 1)])
        deliveries: list[Delivery] = []
        failed: list[RawRow] = []
        for part in chain.from_iterable(self._assembler.assemble(each, arrival, now) for each in delivered):
            for name, spent in enrich(part.rows, self._steps, self._clock).items():
                step_ns[name] += spent
            deliveries += map(finish, part.rows)
            failed += part.failed
        return _Read(deliveries, failed, [(each.envelope.header, len(each.envelope.events)) for each in delivered])

    def _part(self, header: Header, events: int, message: Incoming, now: int) -> LedgerRow:
        """The message's outcome for the ledger, before it is known what became of its events."""
        return LedgerRow(
            minute=minutes.of(header.received_at),
            key_id=header.key_id,
            batch_id=header.batch_id,
            received_at=header.received_at,
            first_index=header.first_index,
            kind="outcome",
            events=events,
            attempt=message.attempt,
            queued_at=message.queued_at or header.received_at,
            started_at=now,
            host=self._host,
        )


def _but(deliveries: list[Delivery], others: Sequence[Delivery]) -> list[Delivery]:
    if not others:
        return deliveries
    left_out = set(map(id, others))
    return [one for one in deliveries if id(one) not in left_out]


def _violations(deliveries: Sequence[Delivery]) -> dict[str, int]:
    """How many events violate their schemas, whatever it costs them; left out when none does."""
    found = sum(VIOLATION in delivery.raw.error_codes for delivery in deliveries if delivery.raw.error_codes)
    return {"schema_violations": found} if found else {}


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
