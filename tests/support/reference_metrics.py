"""The shipped metrics, computed slowly and plainly from the events and sessions themselves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from tests.support.stitched import SECOND, Event, Session

SECONDS = {"1m": 60, "1h": 3_600, "1d": 86_400}
Key = tuple[str, str, int, tuple[tuple[str, str], ...]]
_ALL = ("platform", "event_type", "country", "device_type")
_NO_TYPE = ("platform", "country", "device_type")


def metrics(
    events: Sequence[Event], sessions: Sequence[Session], failed_events: Sequence[Event] = ()
) -> dict[Key, float]:
    """Each value by metric, interval, start of the window in nanoseconds, and tags."""
    found: dict[Key, float] = {}
    people = [event for event in events if not event.is_bot]
    visits = [session for session in sessions if not session.is_bot]
    firsts = _firsts(visits)

    def measure(name: str, things: Iterable[Any], value: Callable[[list[Any]], float | None], **cuts: Any) -> None:
        for interval, dimensions in cuts.items():
            length = SECONDS[interval[1:]] * SECOND
            for cut in (None, *dimensions):
                groups: dict[tuple[int, tuple[tuple[str, str], ...]], list[Any]] = defaultdict(list)
                for thing in things:
                    tags = [("environment", _first(thing).environment)]
                    tags += [(one, _tag(thing, one) or "unknown") for one in cut.split("+")] if cut else []
                    groups[(_at(thing) // length * length, tuple(sorted(tags)))].append(thing)
                for (start, tags_of), members in groups.items():
                    worth = value(members)
                    if worth is not None:
                        found[(name, interval[1:], start, tags_of)] = worth

    measure("events", people, len, _1m=["platform"], _1h=_ALL, _1d=_ALL)
    measure("event_rate", people, lambda all_: len(all_) / 60, _1m=["platform"])
    unique = {"_1m": ["platform"], "_1h": _ALL, "_1d": _ALL}
    measure("unique_visitors", people, lambda all_: len({one.visitor for one in all_}), **unique)
    views = [event for event in people if event.event_type == "page_view"]
    measure("page_views", views, len, _1m=["platform"], _1h=_NO_TYPE, _1d=_NO_TYPE)
    errors = _share(lambda one: one.event_type == "error")
    measure("errors_share", people, errors, _1m=["platform"], _1h=_NO_TYPE, _1d=_NO_TYPE)
    measure("bot_share", events, _share(lambda one: one.is_bot), _1m=[], _1h=_NO_TYPE[:2], _1d=_NO_TYPE[:2])
    paid = [event for event in people if event.event_type == "purchase" and event.amount is not None]
    revenue = lambda all_: float(sum(Fraction(str(one.amount)) for one in all_))  # noqa: E731
    measure("revenue", paid, revenue, _1m=[], _1h=_NO_TYPE, _1d=_NO_TYPE)
    for level, name in ((0.5, "ingestion_lag_p50"), (0.95, "ingestion_lag_p95")):
        lag = _quantile(level, lambda one: _digits(one.lag_ms, 3))
        measure(name, events, lag, _1m=[], _1h=["platform"], _1d=["platform"])
    failed = {"_1m": [], "_1h": ["platform", "event_type"], "_1d": ["platform", "event_type"]}
    measure("failed_share", [*events, *failed_events], _share(lambda one: one.failed), **failed)

    measure(
        "quality.volume",
        [*events, *failed_events],
        len,
        **dict.fromkeys(("_1h", "_1d"), ("event_name", "key_id+platform")),
    )
    # Nothing here has a schema; tests/integration/test_quality.py is about those that have.
    measure(
        "quality.schema_violation_share",
        [*events, *failed_events],
        lambda _: 0.0,
        **dict.fromkeys(("_1h", "_1d"), ("event_name",)),
    )
    skewed = [event for event in events if event.skew_ms is not None]
    for level, name in ((0.5, "quality.clock_skew_p50"), (0.95, "quality.clock_skew_p95")):
        skew = _quantile(level, lambda one: _digits(one.skew_ms, 2))
        measure(name, skewed, skew, _1h=["platform"], _1d=["platform"])
    bought = [event for event in people if event.event_type == "purchase"]
    missing = _share(lambda one: one.amount is None)
    measure("quality.null_share.amount", bought, missing, _1h=["platform"], _1d=["platform"])

    measure("sessions", visits, len, _1m=[], _1h=_NO_TYPE, _1d=_NO_TYPE)
    coarse: dict[str, Any] = {"_1h": _NO_TYPE, "_1d": _NO_TYPE}
    measure("bounce_rate", visits, _share(lambda one: len(one.events) == 1), **coarse)
    measure("events_per_session", visits, lambda all_: sum(len(one.events) for one in all_) / len(all_), **coarse)
    for level, name in ((0.5, "session_duration_p50"), (0.95, "session_duration_p95")):
        measure(name, visits, _quantile(level, lambda one: one.duration_ns / SECOND), **coarse)
    measure("new_visitors", [one for one in visits if one.session_id in firsts], len, **coarse)
    # Who begins a first session begins no other before it: those who are not new in a window return.
    returning = lambda all_: float(  # noqa: E731
        len({one.visitor for one in all_}) - len({one.visitor for one in all_ if one.session_id in firsts})
    )
    measure("returning_visitors", visits, returning, _1h=[], _1d=[])
    return found


def _firsts(visits: Sequence[Session]) -> set[str]:
    first: dict[tuple[str, str], Session] = {}
    for session in visits:
        who = (session.events[0].environment, session.visitor)
        if who not in first or session.started_at < first[who].started_at:
            first[who] = session
    return {session.session_id for session in first.values()}


def _first(thing: Any) -> Event:
    return thing.events[0] if isinstance(thing, Session) else thing


def _at(thing: Any) -> int:
    return _first(thing).at


def _tag(thing: Any, name: str) -> str:
    if isinstance(thing, Session):
        return thing.events[0].platform if name == "platform" else thing.first(name)
    return str(getattr(thing, name))


def _share(counts: Callable[[Any], bool]) -> Callable[[list[Any]], float]:
    return lambda all_: sum(map(counts, all_)) / len(all_)


def _quantile(level: float, value: Callable[[Any], float]) -> Callable[[list[Any]], float]:
    """The smallest value that so many do not exceed."""

    def of(all_: list[Any]) -> float:
        return sorted(map(value, all_))[max(0, math.ceil(Fraction(str(level)) * len(all_)) - 1)]

    return of


def _digits(value: int, digits: int) -> int:
    power = 10 ** max(0, len(str(abs(value))) - digits)
    return int(value / power) * power
