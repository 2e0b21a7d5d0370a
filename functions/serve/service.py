"""Serve: answers questions about events from the store. One method a question; nothing here knows HTTP."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import msgspec

from functions.measure import runs
from functions.serve import accounts, costs, cursor, events_sql, formats, ledger, ledger_sql, tracing
from functions.serve.cursor import Position
from functions.serve.formats import Media, Page
from functions.serve.ledger_sql import Sample
from functions.serve.params import EventQuery
from functions.serve.shapes import Shape
from functions.serve.statement import Reader, Row, Statement
from functions.serve.windows import EVERYTHING, Window, windows, worth_it
from functions.shared.domain import environments, instants
from functions.shared.errors import NotFound, Retry
from functions.shared.ports import Depth, Probe

# A row may become visible a moment after the instant it is stamped with. A reader who follows what is stored is
# given only what is older than this, so that nothing can appear behind its cursor.
SETTLE_NS = instants.SECOND


class ServeService:
    """The one call each route makes. Methods raise :class:`Reject` and :class:`Retry` errors."""

    def __init__(
        self,
        reader: Reader,
        queue_depth: Callable[[], Depth],
        probes: Sequence[Callable[[], Probe]],
        clock: Callable[[], int],
        page_bytes: int = 4 * 1024 * 1024,
        broker: str = "nats",
        sleep: Callable[[float], None] = time.sleep,
        oldest_at: Callable[[], int | None] = lambda: None,
        slow_lane: Callable[[], tuple[Depth, int | None]] = lambda: (Depth(0, 0, 0), None),
    ) -> None:
        self._reader = reader
        self._queue_depth = queue_depth
        self._oldest_at, self._slow_lane = oldest_at, slow_lane
        self._probes = tuple(probes)
        self._clock = clock
        self._page_bytes = page_bytes
        self._broker = broker
        self._sleep = sleep
        # The ledger only grows: as many attempts are the same attempts.
        self._counted: dict[str, tuple[int, int]] = {}

    def events(self, query: EventQuery, media: Media, shape: Shape) -> Page:
        """A page of events in their final form."""
        bound_to = cursor.scope(query)
        after = cursor.decode(query.cursor, bound_to) if query.cursor else None
        page, position = self._page(query, media, shape, after)
        if query.tailing and page.has_more and not page.lines:
            self._sleep(SETTLE_NS / instants.SECOND)
            page, position = self._page(query, media, shape, after)
        if position is None:
            # Nothing new: a reader who follows goes on from where it stands.
            return page._replace(next_cursor=query.cursor or None if query.tailing else None)
        following = page.has_more or query.tailing
        return page._replace(next_cursor=cursor.encode(position, bound_to) if following else None)

    def event(self, event_id: str, environment: str = environments.LIVE) -> bytes:
        """``{"raw": …, "processed": …}`` as JSON; ``processed`` is null for an event that failed."""
        # Raw first: a processed row is written before its raw one, so a raw row seen alone means a failed event.
        found = {source: self._whole(source, event_id, environment) for source in ("raw", "processed")}
        if found["raw"] is None and found["processed"] is None:
            raise _not_stored("event", event_id)
        return msgspec.json.encode({"event_id": event_id, "raw": found["raw"], "processed": found["processed"]})

    def trace(self, event_id: str, environment: str = environments.LIVE) -> dict[str, Any]:
        """Where an event went, stage by stage."""
        row = self._first(ledger_sql.trace(event_id, environment))
        dead = self._all(tracing.dead(event_id, environment))
        if row is None and not dead:
            raise _not_stored("event", event_id)
        deliveries = self._all(ledger_sql.deliveries(event_id, environment))
        found = tracing.of_the_dead(event_id, dead[-1]) if row is None else ledger.trace(event_id, row, deliveries)
        own = tracing.Place(*dead[-1][:3]) if row is None else tracing.Place(row[7], row[0], row[8])
        others = (tracing.Place(other[2], other[0], other[3]) for other in deliveries)
        places = list(dict.fromkeys((own, *others)))
        told = [tracing.Witness(*one) for one in self._all(tracing.witnesses(places, environment))]
        found["stages"][0] |= tracing.accepted(own, told)
        return {
            **found,
            "attempts": tracing.attempts(places, told),
            "dead_letters": [tracing.given_up(one) for one in dead],
        }

    def batch(self, batch_id: str, environment: str = environments.LIVE) -> dict[str, Any]:
        """What became of a batch."""
        arrived = self._all(ledger_sql.batch_deliveries(batch_id, environment))
        counted = self._all(ledger_sql.batch_rows(batch_id, environment))
        if not arrived and not counted:
            raise _not_stored("batch", batch_id)
        asked = ledger.missing(arrived, counted)
        elsewhere = {row[0] for row in self._all(ledger_sql.stored_among(asked))} if asked else set()
        return ledger.batch(batch_id, arrived, counted, elsewhere)

    def properties(self, asked: Sample) -> dict[str, Any]:
        """The names and types of properties within the newest events, per event name."""
        names = self._all(ledger_sql.names_seen(asked))
        paths = self._all(ledger_sql.properties(asked))
        return {
            "event_names": ledger.properties(names, paths[: ledger_sql.MAX_PATHS]),
            "sampled_events": sum(row[1] for row in names),
            "complete": len(paths) <= ledger_sql.MAX_PATHS,
        }

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every engine answers, and of each: ok or why not."""
        found = [probe() for probe in self._probes]
        ready = all(one.status == "ok" for one in found)
        engines = {one.name: {"status": one.status, "detail": one.detail or None} for one in found}
        return ready, {"status": "ok" if ready else "unavailable", "engines": engines}

    def now(self) -> int:
        """The instant, nanoseconds since 1970."""
        return self._clock()

    def ledger(self, asked: accounts.LedgerQuery) -> dict[str, Any]:
        """What became of the events that were received."""
        return accounts.answer(asked, accounts.lines(asked, self._all))

    def status(self, environment: str = environments.LIVE) -> dict[str, Any]:
        """Counts at each stage, what waits, the lag, the last batches. A part that cannot be had is null, with why.

        Events are counted of one environment; the queue and the batches are those of all.
        """
        unavailable: dict[str, str] = {}
        return {
            "generated_at": instants.to_text(self._clock()),
            "ledger": _part("ledger", lambda: self._counts(environment), unavailable),
            "accounts": _part("accounts", lambda: self._accounts(environment), unavailable),
            "queue": _part("queue", self._waiting, unavailable),
            "lag": _part("lag", lambda: self._lag(environment), unavailable),
            "batches": _part("batches", self._batches, unavailable),
            "cost": _part("cost", lambda: self._cost(environment), unavailable),
            "alerts": _part("alerts", lambda: self._firing(environment), unavailable),
            "unavailable": unavailable,
        }

    def _page(self, query: EventQuery, media: Media, shape: Shape, after: Position | None) -> tuple[Page, Any]:
        """The events that fit, and the position of the last. Stops reading where the page ends."""
        lines: list[bytes] = []
        position, size, transport = None, 0, 0
        rows = self._rows(query, after, shape)
        seen = {after.event_id} if after is not None else set()
        count = 0
        for at, event_id, now, *values in rows:
            count += 1
            if len(lines) == query.limit or (query.tailing and at > now - SETTLE_NS):
                return _stop(rows, lines), position
            if event_id in seen:
                # Two deliveries are being recorded at once, and one of the rows is about to go.
                position = Position(at, event_id)
                continue
            line = formats.line(media, shape, values)
            size += len(line) + 1
            transport += formats.transport_size(line) + 1
            if lines and (size > self._page_bytes or transport > formats.TRANSPORT_BYTES):
                return _stop(rows, lines), position
            lines.append(line)
            seen.add(event_id)
            position = Position(at, event_id)
        return Page(lines, None, count > query.limit), position

    def _rows(self, query: EventQuery, after: Position | None, shape: Shape) -> Generator[Row]:
        """The rows of a page and one more, window by window, the nearest first."""
        wanted = query.limit + 1
        for window in self._windows(query, after):
            with closing(self._reader.rows(*events_sql.page(query, after, shape, window, wanted))) as rows:
                for row in rows:
                    wanted -= 1
                    yield row
            if wanted <= 0:
                return

    def _windows(self, query: EventQuery, after: Position | None) -> list[Window]:
        if not worth_it(query):
            return [EVERYTHING]
        if after is not None:
            return windows(query, after.at)
        first = self._first(events_sql.first_timestamp(query))
        if first is None:
            return [EVERYTHING]
        if query.order == "desc":
            return windows(query, first[0] if query.until is None else min(first[0], query.until))
        return windows(query, first[0] if query.since is None else max(first[0], query.since))

    def _whole(self, source: Any, event_id: str, environment: str) -> dict[str, Any] | None:
        row = self._first(events_sql.one_event(source, event_id, environment))
        return None if row is None else Shape(source).event(row)

    def _counts(self, environment: str) -> dict[str, int]:
        attempts, stored, failed, processed, erased = self._all(ledger_sql.counts(environment))[0]
        received = self._received(attempts, stored, environment)
        return {
            "received": received,
            "stored": stored,
            "processed": processed,
            "failed": failed,
            "erased": erased,
            "duplicates": max(0, received - stored - erased),
        }

    def _accounts(self, environment: str) -> dict[str, Any]:
        """The ledger of the last hour."""
        asked = accounts.query({"group_by": ["key"]}, environment, self._clock())
        return {"window_seconds": accounts.DEFAULT_SECONDS, **accounts.total(accounts.lines(asked, self._all))}

    def _received(self, attempts: int, stored: int, environment: str) -> int:
        """Distinct deliveries. Counting them reads the whole ledger, so only where it cannot be known without."""
        if attempts <= stored:
            return stored
        known_attempts, received = self._counted.get(environment, (0, 0))
        if known_attempts != attempts:
            received = self._all(ledger_sql.received(environment))[0][0]
            self._counted[environment] = attempts, received
        return max(received, stored)

    def _waiting(self) -> dict[str, Any]:
        depth, oldest = self._queue_depth(), self._age(self._oldest_at())
        slow, slow_oldest = self._slow_lane()
        return {
            "ready": depth.ready,
            "in_flight": depth.in_flight,
            "dead": depth.dead,
            "oldest_seconds": oldest,
            "slow_lane": {
                "ready": slow.ready,
                "in_flight": slow.in_flight,
                "oldest_seconds": self._age(slow_oldest),
            },
        }

    def _age(self, queued_at: int | None) -> float | None:
        """Seconds; None where the broker does not tell."""
        return None if queued_at is None else round(instants.age_seconds(queued_at, self._clock()), 3)

    def _lag(self, environment: str) -> dict[str, Any]:
        events, received, stored, p50, p95, longest = self._all(ledger_sql.lag(environment))[0]
        some = events > 0
        return {
            "window_seconds": ledger_sql.LAG_WINDOW_SECONDS,
            "events": events,
            "newest_received_at": ledger.at(received) if some else None,
            "newest_stored_at": ledger.at(stored) if some else None,
            "stored_after_seconds": {"p50": p50, "p95": p95, "max": longest} if some else None,
        }

    def _cost(self, environment: str) -> dict[str, Any] | None:
        """What the events of the last minutes cost on AWS; None when there were none."""
        events, requests = self._all(ledger_sql.requests(environment))[0]
        return costs.estimate(events, requests, ledger_sql.LAG_WINDOW_SECONDS, self._broker) if events else None

    def _batches(self) -> dict[str, Any]:
        return {**runs.behind(self._reader), "runs": runs.last(self._reader)}

    def _firing(self, environment: str) -> dict[str, Any]:
        return {"firing": [ledger.alert(row) for row in self._all(ledger_sql.firing(environment))]}

    def _all(self, statement: Statement) -> list[Row]:
        return list(self._reader.rows(*statement))

    def _first(self, statement: Statement) -> Row | None:
        return next(iter(self._all(statement)), None)


def _stop(rows: Generator[Row], lines: list[bytes]) -> Page:
    """A page that ends before the rows do."""
    rows.close()
    return Page(lines, None, True)


def _part(name: str, read: Callable[[], Any], unavailable: dict[str, str]) -> Any:
    try:
        return read()
    except Retry as error:
        unavailable[name] = error.detail
        return None


def _not_stored(kind: str, identity: str) -> NotFound:
    return NotFound(
        f"{kind}_not_found",
        f"There is no {kind} {identity} in the store. Just accepted, it may still be in the broker: ask again.",
    )
