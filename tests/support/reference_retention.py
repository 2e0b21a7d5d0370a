"""Retention, computed slowly and plainly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from tests.support.stitched import SECOND, Event


def _start(at: int, interval: str) -> date:
    day = datetime.fromtimestamp(at // SECOND, UTC).date()
    return day - timedelta(days=day.weekday()) if interval == "week" else day


def retention(events: Sequence[Event], interval: str, since: int, until: int) -> dict[str, list[int]]:
    """By cohort, how many of it had an event in each interval from their first."""
    length = 7 if interval == "week" else 1
    seen: dict[str, set[date]] = defaultdict(set)
    first: dict[str, int] = {}
    for event in events:
        seen[event.visitor].add(_start(event.at, interval))
        first[event.visitor] = min(event.at, first.get(event.visitor, event.at))
    cohorts: dict[date, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for visitor, starts in seen.items():
        if since <= first[visitor] < until:
            for one in starts:
                cohorts[min(starts)][(one - min(starts)).days // length] += 1
    return {str(day): [counts.get(k, 0) for k in range(max(counts) + 1)] for day, counts in cohorts.items()}
