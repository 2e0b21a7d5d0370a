"""Visitors and sessions computed slowly and obviously, from the words of the contract and nothing else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.rows import ProcessedRow

SECOND = 1_000_000_000
GAP_SECONDS, LONGEST_SECONDS = 1_800, 86_400
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "weir.events")
NIL = "00000000-0000-0000-0000-000000000000"


@dataclass
class Session:
    """A session, with all that the contract says it has, but for state and computed_at."""

    visitor: str
    events: list[ProcessedRow] = field(default_factory=list)

    @property
    def session_id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"session:{self.visitor}:{self.events[0].event_id}"))

    def facts(self) -> dict[str, object]:
        """Its columns by name."""
        first, last = self.events[0], self.events[-1]
        views = [one.page_path for one in self.events if one.event_type == "page_view"]
        return {
            "session_id": self.session_id,
            "visitor": self.visitor,
            "user_id": self.visitor[2:] if self.visitor.startswith("u:") else None,
            "started_at": first.timestamp,
            "ended_at": last.timestamp,
            "duration_seconds": (last.timestamp - first.timestamp) / 1e9,
            "event_count": len(self.events),
            "page_view_count": len(views),
            "entry_page": views[0] if views else "",
            "exit_page": views[-1] if views else "",
            "referrer": next((one for event in self.events if (one := _referrer(event))), ""),
            "campaign": self._first("campaign"),
            "country": self._first("geo_country"),
            "device_type": self._first("device_type"),
            "browser": self._first("browser_name"),
            "os": self._first("os_name"),
            "platforms": list(dict.fromkeys(one.platform for one in self.events)),
            "client_session_ids": [
                one for one in dict.fromkeys(event.session_id for event in self.events) if one != NIL
            ],
            "is_bounce": len(self.events) == 1,
            "is_bot": any(one.is_bot for one in self.events),
            "key_id": first.key_id,
            "environment": environment(first),
        }

    def _first(self, name: str) -> str:
        return next((value for one in self.events if (value := getattr(one, name))), "")


def environment(row: ProcessedRow) -> str:
    """In which of the two worlds an event is: nothing of one is looked at for the other."""
    return "test" if row.key_id.startswith(("test", "wk_test")) else "live"


def visitors(rows: Iterable[ProcessedRow], merges: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The visitor of each event, by event id."""
    ordered = sorted(rows, key=_order)
    names = _names(merges)
    found = {}
    for row in ordered:
        own = _visitor(row, ordered)
        found[row.event_id] = names.get(own, own)
    return found


def sessions(
    rows: Sequence[ProcessedRow],
    merges: Sequence[tuple[str, str]] = (),
    gap: int = GAP_SECONDS * SECOND,
    longest: int = LONGEST_SECONDS * SECOND,
) -> list[Session]:
    """All sessions."""
    of = visitors(rows, merges)
    found: list[Session] = []
    for who in sorted({(environment(row), of[row.event_id]) for row in rows}):
        current: Session | None = None
        for row in sorted((row for row in rows if (environment(row), of[row.event_id]) == who), key=_order):
            if (
                current is None
                or row.timestamp - current.events[-1].timestamp > gap
                or row.timestamp - current.events[0].timestamp >= longest
            ):
                current = Session(who[1])
                found.append(current)
            current.events.append(row)
    return found


def _referrer(row: ProcessedRow) -> str:
    return str(json.loads(row.context_text).get("page", {}).get("referrer") or "")


def _order(row: ProcessedRow) -> tuple[int, str]:
    return (row.timestamp, row.event_id)


def _visitor(row: ProcessedRow, ordered: list[ProcessedRow]) -> str:
    if row.user_id:
        return f"u:{row.user_id}"
    if row.anonymous_id:
        links = [
            one
            for one in ordered
            if one.anonymous_id == row.anonymous_id and one.user_id and environment(one) == environment(row)
        ]
        before = [one for one in links if _order(one) <= _order(row)]
        if before or links:
            return f"u:{(before[-1] if before else links[0]).user_id}"
        return f"a:{row.anonymous_id}"
    if row.session_id != NIL:
        return f"s:{row.session_id}"
    return row.identity


def _names(merges: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Visitors that were said to be one share the name of the first: users, devices, sessions, the others, by text."""
    groups: list[set[str]] = []
    for pair in merges:
        touching = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if not group & set(pair)] + [set(pair).union(*touching)]
    return {name: min(group, key=lambda one: ("uasf".index(one[0]), one)) for group in groups for name in group}
