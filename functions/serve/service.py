"""Serve: answers questions about events from the store. One method a question; nothing here knows HTTP."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import msgspec

from functions.serve import cursor, events_sql, formats, ledger, ledger_sql
from functions.serve.cursor import Position
from functions.serve.formats import Media, Page
from functions.serve.params import EventQuery
from functions.serve.shapes import Shape
from functions.serve.statement import Reader, Row, Statement
from functions.serve.windows import EVERYTHING, Window, windows, worth_it
from functions.shared.domain import instants
from functions.shared.errors import NotFound, Retry
from functions.shared.ports import Depth, Probe

# A row may become visible a moment after the instant it is stamped with. A reader who follows what is stored is
# given only what is older than this, so that nothing can appear behind its cursor.
SETTLE_NS = instants.SECOND
# A Lambda function's answer is 6 MB of JSON, in which the body is one string.
_TRANSPORT_BYTES = 5_900_000


class ServeService:
    """The one call each route makes. Methods raise :class:`Reject` and :class:`Retry` errors."""

    def __init__(
        self,
        reader: Reader,
        queue_depth: Callable[[], Depth],
        probes: Sequence[Callable[[], Probe]],
        clock: Callable[[], int],
        page_bytes: int = 4 * 1024 * 1024,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reader = reader
        self._queue_depth = queue_depth
        self._probes = tuple(probes)
        self._clock = clock
        self._page_bytes = page_bytes
        self._sleep = sleep
        # The ledger only grows: as many attempts are the same attempts.
        self._counted = (0, 0)

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

    def event(self, event_id: str) -> bytes:
        """``{"raw": …, "processed": …}`` as JSON; ``processed`` is null for an event that failed."""
        # Raw first: a processed row is written before its raw one, so a raw row seen alone means a failed event.
        found = {source: self._whole(source, event_id) for source in ("raw", "processed")}
        if found["raw"] is None and found["processed"] is None:
            raise _not_stored("event", event_id)
        return msgspec.json.encode({"event_id": event_id, "raw": found["raw"], "processed": found["processed"]})

    def trace(self, event_id: str) -> dict[str, Any]:
        """Where an event went, stage by stage."""
        row = self._first(ledger_sql.trace(event_id))
        if row is None:
            raise _not_stored("event", event_id)
        return ledger.trace(event_id, row, self._all(ledger_sql.deliveries(event_id)))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """What became of a batch."""
        arrived = self._all(ledger_sql.batch_deliveries(batch_id))
        counted = self._all(ledger_sql.batch_rows(batch_id))
        if not arrived and not counted:
            raise _not_stored("batch", batch_id)
        asked = ledger.missing(arrived, counted)
        elsewhere = {row[0] for row in self._all(ledger_sql.stored_among(asked))} if asked else set()
        return ledger.batch(batch_id, arrived, counted, elsewhere)

    def properties(self, since: int | None, until: int | None, event_names: list[str]) -> dict[str, Any]:
        """The names and types of properties within the newest events, per event name."""
        names = self._all(ledger_sql.names_seen(since, until, event_names))
        paths = self._all(ledger_sql.properties(since, until, event_names))
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

    def status(self) -> dict[str, Any]:
        """The ledger: counts at each stage, what waits, and the lag. A part that cannot be had is null, with why."""
        unavailable: dict[str, str] = {}
        return {
            "generated_at": instants.to_text(self._clock()),
            "ledger": _part("ledger", self._counts, unavailable),
            "queue": _part("queue", self._waiting, unavailable),
            "lag": _part("lag", self._lag, unavailable),
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
            if lines and (size > self._page_bytes or transport > _TRANSPORT_BYTES):
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

    def _whole(self, source: Any, event_id: str) -> dict[str, Any] | None:
        row = self._first(events_sql.one_event(source, event_id))
        return None if row is None else Shape(source).event(row)

    def _counts(self) -> dict[str, int]:
        attempts, stored, failed, processed = self._all(ledger_sql.counts())[0]
        received = self._received(attempts, stored)
        return {
            "received": received,
            "stored": stored,
            "processed": processed,
            "failed": failed,
            "duplicates": received - stored,
        }

    def _received(self, attempts: int, stored: int) -> int:
        """Distinct deliveries. Counting them reads the whole ledger, so only where it cannot be known without."""
        if attempts <= stored:
            return stored
        known_attempts, received = self._counted
        if known_attempts != attempts:
            received = self._all(ledger_sql.received())[0][0]
            self._counted = attempts, received
        return max(received, stored)

    def _waiting(self) -> dict[str, int]:
        depth = self._queue_depth()
        return {"ready": depth.ready, "in_flight": depth.in_flight, "dead": depth.dead}

    def _lag(self) -> dict[str, Any]:
        events, received, stored, p50, p95, longest = self._all(ledger_sql.lag())[0]
        some = events > 0
        return {
            "window_seconds": ledger_sql.LAG_WINDOW_SECONDS,
            "events": events,
            "newest_received_at": ledger.at(received) if some else None,
            "newest_stored_at": ledger.at(stored) if some else None,
            "stored_after_seconds": {"p50": p50, "p95": p95, "max": longest} if some else None,
        }

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
