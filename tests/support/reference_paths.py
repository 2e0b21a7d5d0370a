"""Paths, computed slowly and plainly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from tests.support.stitched import Event, Session


def _place(event: Event) -> str:
    return event.page_path if event.event_type == "page_view" and event.page_path else event.event_name


def paths(sessions: Sequence[Session], start: str | None, depth: int) -> Counter[tuple[str, ...]]:
    """How many sessions take each path."""
    found: Counter[tuple[str, ...]] = Counter()
    for session in sessions:
        places = [place for place, _ in groupby(map(_place, session.events))]
        if start is None:
            found[tuple(places[:depth])] += 1
        elif start in places:
            begin = places.index(start)
            found[tuple(places[begin : begin + depth])] += 1
    return found
