"""Windows of time: a page is looked for in the nearest ones first.

Asked for the newest hundred of what a filter lets through, the store reads on in every part of the table at once, and
far more than it needs. Asked for a few hours at first, and for more only while events are missing, it reads little.
The windows together are all of time, so where they begin changes what it costs and never what is found.
"""

from typing import NamedTuple

from functions.serve.params import EventQuery
from functions.shared.domain import environments
from functions.shared.domain.instants import SECOND

_HOUR = 3_600 * SECOND
_WIDTHS = (12 * _HOUR, 96 * _HOUR, 768 * _HOUR, 6_144 * _HOUR)
# Few events carry one of these, and indexes lead straight to them.
_FEW = frozenset({"event_id", "user_id", "session_id", "stitched_session_id", "anonymous_id"})
_EARLIEST, _LATEST = -(2**63) + 1, 2**63 - 1


class Window(NamedTuple):
    """A half-open range of timestamps, in nanoseconds; None is without an end."""

    since: int | None
    until: int | None


EVERYTHING = Window(None, None)


def worth_it(query: EventQuery) -> bool:
    """Whether the query may have to pass over many events to find enough."""
    names = {name for name, _ in query.equal}
    choosy = bool(names or query.documents or query.environment != environments.LIVE)
    return query.order_by == "timestamp" and choosy and not names & _FEW


def windows(query: EventQuery, start: int) -> list[Window]:
    """All of time, in the query's order, cut at growing distances from ``start``."""
    down = query.order == "desc"
    edges, edge = [], start
    for width in _WIDTHS:
        edge = edge - width if down else edge + width
        if not _inside(query, edge):
            break
        edges.append(edge)
    near: list[int | None] = [None, *edges]
    far: list[int | None] = [*edges, None]
    return [Window(b, a) if down else Window(a, b) for a, b in zip(near, far, strict=True)]


def _inside(query: EventQuery, edge: int) -> bool:
    """Whether there is anything to be looked for beyond an edge."""
    low = _EARLIEST if query.since is None else query.since
    high = _LATEST if query.until is None else query.until
    return low < edge < high
