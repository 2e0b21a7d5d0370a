"""Stitched events and sessions put into a store by hand, for tests of what is computed from them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from functions.shared.domain import ids

SECOND = 1_000_000_000
GAP, LONGEST = 1_800 * SECOND, 86_400 * SECOND


@dataclass(frozen=True)
class Event:
    """A counted event as stitching left it. ``at`` is nanoseconds."""

    event_id: str
    at: int
    visitor: str
    event_type: str = "page_view"
    event_name: str = "viewed"
    platform: str = "web"
    country: str = ""
    device_type: str = ""
    page_path: str = ""
    is_bot: bool = False
    amount: float | None = None
    lag_ms: int = 0
    skew_ms: int | None = None
    session_id: str = ids.NIL
    environment: str = "live"
    failed: bool = False

    @property
    def key_id(self) -> str:
        return self.environment

    @property
    def order(self) -> tuple[int, str]:
        return (self.at, self.event_id)


@dataclass
class Session:
    """A session of the contract, with what is asked of it here."""

    session_id: str
    visitor: str
    events: list[Event] = field(default_factory=list)

    @property
    def started_at(self) -> int:
        return self.events[0].at

    @property
    def duration_ns(self) -> int:
        return self.events[-1].at - self.events[0].at

    @property
    def is_bot(self) -> bool:
        return any(event.is_bot for event in self.events)

    def first(self, name: str) -> str:
        return next((value for event in self.events if (value := getattr(event, name))), "")


def sessions_of(events: Sequence[Event]) -> list[Session]:
    """The sessions of the contract: by environment and visitor, cut by gaps and by length."""
    found: list[Session] = []
    current: dict[tuple[str, str], Session] = {}
    for event in sorted(events, key=lambda one: one.order):
        who = (event.environment, event.visitor)
        session = current.get(who)
        if session is None or event.at - session.events[-1].at > GAP or event.at - session.events[0].at >= LONGEST:
            identity = ids.named("session", f"{event.visitor}:{event.event_id}")
            session = current[who] = Session(identity, event.visitor)
            found.append(session)
        session.events.append(event)
    return found


def random_events(seed: int, count: int, since: int, seconds: int, visitors: int = 8) -> list[Event]:
    """Events at random, crowded enough to share instants, sessions and minutes."""
    chance = random.Random(seed)
    names = ("a", "b", "c", "d")
    found = []
    for _ in range(count):
        kind = chance.choice(("page_view", "page_view", "click", "purchase", "error"))
        visitor = f"a:{chance.randrange(visitors)}"
        found.append(
            Event(
                event_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                at=(since + chance.randrange(seconds)) * SECOND + chance.choice((0, 0, 1, 999_999_999)),
                visitor=visitor,
                event_type=kind,
                event_name=chance.choice(names),
                platform=chance.choice(("web", "ios")),
                country=chance.choice(("", "DE", "FR")),
                device_type=chance.choice(("", "mobile")),
                page_path=chance.choice(("/", "/a", "/b")) if kind == "page_view" else "",
                is_bot=chance.random() < 0.1,
                amount=chance.choice((None, 0.0, 9.99, 0.1, 1e3, -5.5)) if kind == "purchase" else None,
                lag_ms=chance.choice((0, 7, 999, 1_234, 56_789)),
                skew_ms=chance.choice((None, 0, -999, 1_234, 56_789)),
            )
        )
    return found


class Stitched:
    """A store whose events and sessions are what a test says, all at once.

    What is as it was keeps the version of the call that made it so, as stitching leaves it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # Every session there ever was, by its key: one that is no more is superseded.
        self._ever: dict[tuple[str, str], dict[str, Any]] = {}
        self._visits: dict[str, dict[str, Any]] = {}
        # Who stored each event as it is: one attempt a call stored those that came, another those that are others now.
        self._stored: dict[Event, str] = {}
        self._version = 0
        self._numbers: dict[str, int] = {}

    def put(self, events: Sequence[Event]) -> list[Session]:
        """Let these be the events, and their sessions the sessions."""
        self._version += 1
        for table in ("session_event_rows", "session_rows", "processed_events", "raw_events"):
            self._client.command(f"TRUNCATE TABLE {table}")
        found = sessions_of(events)
        of_event = {event.event_id: session.session_id for session in found for event in session.events}
        visits = {event.event_id: self._numbered(_visit(event, of_event[event.event_id])) for event in events}
        self._visits = {key: self._made(self._visits.get(key), row) for key, row in visits.items()}
        self._insert("session_event_rows", list(self._visits.values()))
        ever = {key: {**row, "state": "superseded"} for key, row in self._ever.items()}
        ever |= {(row["started_at"], row["session_id"]): row for row in map(self._numbered, map(_session, found))}
        self._ever = {key: self._versioned(self._ever.get(key), row) for key, row in ever.items()}
        self._insert("session_rows", list(self._ever.values()))
        self._insert("measure_progress", [{"stage": "stitched", "version": self._version}])
        known = {event.event_id for event in self._stored}
        self._stored = {event: self._stored.get(event) or self._attempt(event.event_id in known) for event in events}
        self._insert_stored(events)
        return found

    def insert_newest(self) -> None:
        """Insert those events once more that the last call was the first to know of, or of another visitor."""
        self._insert("session_event_rows", [row for row in self._visits.values() if row["made"] == self._version])
        of_last = (self._attempt(False), self._attempt(True))
        self._insert_stored([event for event, attempt in self._stored.items() if attempt in of_last])

    def _attempt(self, is_known: bool) -> str:
        return str(uuid.UUID(int=self._version * 16 + (0xB if is_known else 0xA)))

    def _insert_stored(self, events: Sequence[Event]) -> None:
        self._insert("processed_events", [{**_processed(one), "attempt_id": self._stored[one]} for one in events])
        self._insert("raw_events", [{**_raw(one), "attempt_id": self._stored[one]} for one in events])

    def _versioned(self, stood: dict[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
        same = stood is not None and {**stood, "version": 0} == {**row, "version": 0}
        return {**row, "version": stood["version"] if stood and same else self._version}

    def _numbered(self, row: dict[str, Any]) -> dict[str, Any]:
        number = self._numbers.setdefault(row["visitor"], len(self._numbers) + 1)
        return {**row, "visitor_number": number}

    def _made(self, stood: dict[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
        """A row of an event: the version that made it what it counts for stays where only its session is another."""
        apart = {"version": 0, "made": 0, "session_id": ""}
        made = stood["made"] if stood and {**stood, **apart} == {**row, **apart} else self._version
        return self._versioned(stood, {**row, "made": made})

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            columns = list(rows[0])
            body = b"\n".join(orjson.dumps([row[name] for name in columns]) for row in rows)
            self._client.raw_insert(table, columns, body, fmt="JSONCompactEachRow")


def _visit(event: Event, session_id: str) -> dict[str, Any]:
    names = ("event_id", "visitor", "environment", "platform", "event_type", "event_name", "country", "device_type")
    more = {"is_bot": event.is_bot, "page_path": event.page_path, "session_id": session_id, "version": 1, "made": 0}
    return {"timestamp": str(event.at), **{name: getattr(event, name) for name in names}, **more}


def _session(session: Session) -> dict[str, Any]:
    views = [event for event in session.events if event.event_type == "page_view"]
    return {
        "session_id": session.session_id,
        "visitor": session.visitor,
        "user_id": session.visitor[2:] if session.visitor.startswith("u:") else None,
        "environment": session.events[0].environment,
        "started_at": str(session.started_at),
        "ended_at": str(session.events[-1].at),
        "duration_seconds": session.duration_ns / SECOND,
        "event_count": len(session.events),
        "page_view_count": len(views),
        "entry_page": views[0].page_path if views else "",
        "exit_page": views[-1].page_path if views else "",
        "country": session.first("country"),
        "device_type": session.first("device_type"),
        "platforms": list(dict.fromkeys(event.platform for event in session.events)),
        "is_bounce": len(session.events) == 1,
        "is_bot": session.is_bot,
        "state": "live",
        "computed_at": "1",
        "version": 1,
    }


def _processed(event: Event) -> dict[str, Any]:
    properties = "{}" if event.amount is None else orjson.dumps({"amount": event.amount}).decode()
    return {
        "event_id": event.event_id,
        "raw_event_id": event.event_id,
        "key_id": event.key_id,
        "timestamp": str(event.at),
        "received_at": str(event.at),
        "processed_at": str(event.at + event.lag_ms * 1_000_000),
        "platform": event.platform,
        "event_type": event.event_type,
        "event_name": event.event_name,
        "geo_country": event.country,
        "device_type": event.device_type,
        "is_bot": event.is_bot,
        "properties_text": properties,
        "metrics_text": "{}" if event.skew_ms is None else orjson.dumps({"clock_skew_ms": event.skew_ms}).decode(),
    }


def _raw(event: Event) -> dict[str, Any]:
    names = ("event_id", "platform", "event_type", "event_name")
    row = {name: getattr(event, name) for name in names}
    return {**row, "key_id": event.key_id, "timestamp": str(event.at), "processing_status": "processed"}
