"""Funnels, computed slowly and plainly: every first step is tried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from tests.support.stitched import SECOND, Event


def ways(events: Sequence[Event], steps: Sequence[str], window_seconds: int) -> dict[str, list[Event]]:
    """By visitor, the events by which it passes the steps, from the earliest first step that gets furthest."""
    of_visitor: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.order):
        of_visitor[event.visitor].append(event)
    found = {}
    for visitor, own in of_visitor.items():
        best: list[Event] = []
        for start, first in enumerate(own):
            if first.event_name != steps[0]:
                continue
            way = [first]
            for event in own[start + 1 :]:
                if len(way) == len(steps) or event.at - first.at > window_seconds * SECOND:
                    break
                if event.event_name == steps[len(way)]:
                    way.append(event)
            if len(way) > len(best):
                best = way
        if best:
            found[visitor] = best
    return found


def funnel(
    events: Sequence[Event], steps: Sequence[str], window_seconds: int, group_by: str | None = None
) -> dict[str | None, list[tuple[int, float | None]]]:
    """By group, the visitors at each step and the median seconds from the step before."""
    groups: dict[str | None, list[list[Event]]] = defaultdict(list)
    for way in ways(events, steps, window_seconds).values():
        groups[getattr(way[0], group_by) or None if group_by else None].append(way)
    return {name: [_step(all_, place) for place in range(len(steps))] for name, all_ in groups.items()}


def _step(all_: list[list[Event]], place: int) -> tuple[int, float | None]:
    passed = [way for way in all_ if len(way) > place]
    if not place or not passed:
        return len(passed), None
    return len(passed), median((way[place].at - way[place - 1].at) / SECOND for way in passed)
