"""Answers about sessions, journeys, funnels, paths, retention, metrics and anomalies. Nothing here knows HTTP."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from functions.measure import runs
from functions.measure.metrics.definitions import Definitions, Metric
from functions.serve import anomalies_query as anomalies_sql
from functions.serve import cursor, funnels_sql, metrics_query, paths_sql, retention_sql, sessions_sql
from functions.serve.analytics_params import (
    AnomaliesQuery,
    FunnelQuery,
    MetricQuery,
    Paging,
    PathsQuery,
    RetentionQuery,
    SessionsQuery,
)
from functions.serve.cursor import Position
from functions.serve.formats import transport_size
from functions.serve.shapes import Shape
from functions.serve.statement import Reader, Row, Statement
from functions.shared.domain import instants
from functions.shared.errors import BadRequest, NotFound
from functions.shared.ports import SeriesStore

_OPTIONAL = frozenset(
    ("user_id", "entry_page", "exit_page", "referrer", "campaign", "country", "device_type", "browser", "os")
)
_TIMES = frozenset(("started_at", "ended_at", "computed_at"))
_BOOLEANS = frozenset(("is_bounce", "is_bot"))


class AnalyticsService:
    """The one call each route makes. Methods raise :class:`Reject` and :class:`Retry` errors."""

    def __init__(
        self,
        reader: Reader,
        series: SeriesStore,
        definitions: Definitions,
        clock: Callable[[], int],
        page_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._reader = reader
        self._series = series
        self._metrics = definitions.published()
        self._clock = clock
        self._page_bytes = page_bytes

    def state_of_data(self) -> str:
        """Names what the batches have computed so far: while it stays, so do all answers here."""
        return runs.computed(self._reader)

    def state_at(self, until: int | None) -> str:
        """The same for an answer whose range ends now unless it is told: it changes by the minute."""
        return self.state_of_data() + ("" if until is not None else f"@{self._clock() // (60 * instants.SECOND)}")

    def state_of_anomalies(self) -> str:
        """Names what was judged so far."""
        found = self._first(Statement("SELECT max(version) FROM judged", {}))
        return ".".join(map(str, found or ()))

    def sessions(self, query: SessionsQuery) -> dict[str, Any]:
        """A page of sessions, the newest first."""
        bound_to = _bound_to("sessions", query._replace(paging=Paging()))
        after = cursor.decode(query.paging.cursor, bound_to) if query.paging.cursor else None
        visitor = None if query.user_id is None else self._goes_by(query.user_id)
        rows = self._all(sessions_sql.page(query, after, visitor))
        found = [_session(row) for row in rows[: query.paging.limit]]
        last = rows[query.paging.limit - 1] if len(rows) > query.paging.limit else None
        return {"sessions": found, **_next(None if last is None else Position(last[3], last[0]), bound_to)}

    def session(self, session_id: str, paging: Paging, environment: str) -> dict[str, Any]:
        """A session with a page of its events."""
        row = self._first(sessions_sql.some([session_id], environment))
        if row is None:
            raise NotFound("session_not_found", f"There is no session {session_id}: what is computed may name it anew.")
        bound_to = _bound_to("session", session_id)
        after = cursor.decode(paging.cursor, bound_to) if paging.cursor else None
        places = self._all(sessions_sql.places_of_session(row, after, paging.limit))
        page, events = self._page(places, paging.limit, environment)
        following = _next(_place(page[-1]) if len(places) > len(page) else None, bound_to)
        return {**_session(row), "events": [events[one[1]] for one in page if one[1] in events], **following}

    def journey(self, user_id: str, paging: Paging, environment: str) -> dict[str, Any]:
        """A user's events in order, a page of them, each within its session."""
        visitor = self._goes_by(user_id)
        bound_to = _bound_to("journey", visitor)
        after = cursor.decode(paging.cursor, bound_to) if paging.cursor else None
        places = self._all(sessions_sql.places_of_visitor(visitor, environment, after, paging.limit))
        if not places and after is None:
            raise NotFound("user_not_found", f"There are no events of user {user_id}, or they are not stitched yet.")
        page, events = self._page(places, paging.limit, environment)
        wanted = list(dict.fromkeys(place[2] for place in page))
        sessions = (
            {row[0]: _session(row) for row in self._all(sessions_sql.some(wanted, environment))} if wanted else {}
        )
        found = [
            {
                **sessions.get(identity, {"session_id": identity}),
                "events": [events[one[1]] for one in some if one[1] in events],
            }
            for identity, group in groupby(page, key=lambda one: one[2])
            if (some := list(group))
        ]
        following = _next(_place(page[-1]) if len(places) > len(page) else None, bound_to)
        return {"user_id": user_id, "visitor": visitor, "sessions": found, **following}

    def funnel(self, query: FunnelQuery) -> dict[str, Any]:
        """Visitors and conversion at each step."""
        groups = [
            {"group": name or None, "steps": _steps(query.steps, visitors, medians)}
            for name, visitors, medians in self._all(funnels_sql.funnel(query))
        ]
        if not groups and query.group_by is None:
            groups = [{"group": None, "steps": _steps(query.steps, [0] * len(query.steps), [])}]
        window = query.window_ns // instants.SECOND
        if query.group_by is None:
            return {"window_seconds": window, "steps": groups[0]["steps"]}
        return {"window_seconds": window, "group_by": query.group_by, "groups": groups}

    def paths(self, query: PathsQuery) -> dict[str, Any]:
        """The commonest paths."""
        rows = self._all(paths_sql.paths(query))
        total = rows[0][2] if rows else 0
        named = dict(self._all(paths_sql.places(query, [row[0] for row in rows]))) if rows else {}
        # A session that a batch has just replaced is found no more: its path is told by the next question.
        common = [(named[session], count) for session, count, _ in rows if session in named]
        common.sort(key=lambda one: (-one[1], one[0]))
        found = [{"path": path, "sessions": count, "share": count / total} for path, count in common]
        return {"start": query.start, "depth": query.depth, "sessions": total, "paths": found}

    def retention(self, query: RetentionQuery) -> dict[str, Any]:
        """Cohorts, the newest first, and how many of each came back in each interval after."""
        cohorts = []
        rows = self._all(retention_sql.retention(query))
        for start, some in groupby(rows, key=lambda row: row[0]):
            counted = {number: count for _, number, count in some}
            size = counted.get(0, 0)
            visitors = [counted.get(number, 0) for number in range(max(counted) + 1)]
            rates = [count / size if size else 0.0 for count in visitors]
            cohorts.append({"cohort": start, "visitors": size, "returning": visitors, "rates": rates})
        return {"interval": query.interval, "cohorts": cohorts}

    def metrics(self) -> dict[str, Any]:
        """What is measured, and by what."""
        return {
            "metrics": [
                {
                    "name": name,
                    "about": metric.about,
                    "kind": metric.kind,
                    "unit": metric.unit or None,
                    "intervals": {each: [list(cut) for cut in metric.cuts(each)] for each in metric.intervals},
                }
                for name, metric in sorted(self._metrics.items())
            ]
        }

    def metric_named(self, name: str) -> Metric:
        """A metric that readers may ask for."""
        if name not in self._metrics:
            raise NotFound("metric_not_found", "There is no such metric. GET /api/v1/metrics lists what there is.")
        return self._metrics[name]

    def metric(self, name: str, query: MetricQuery) -> dict[str, Any]:
        """The series of a metric that fit, each with its points in order."""
        metric = self.metric_named(name)
        asked = metrics_query.series(name, metric, query, self._clock())
        rows = self._series.query(asked.sql, asked.values)
        if len(rows) > metrics_query.MAX_POINTS:
            raise BadRequest(
                "too_many_points",
                f"That is over {metrics_query.MAX_POINTS} points. Narrow it by from and to, or take a longer interval.",
            )
        found = [
            {
                "tags": msgspec.json.decode(tags),
                "points": [{"timestamp": instants.to_text(ts), "value": value} for _, ts, value, *_ in some],
            }
            for tags, some in groupby(rows, key=lambda row: row[0])
        ]
        return {
            "metric": name,
            "interval": asked.interval,
            "from": instants.to_text(asked.since),
            "to": instants.to_text(asked.until),
            "unit": metric.unit or None,
            "group_by": list(query.group_by),
            "series": found,
        }

    def anomalies(self, query: AnomaliesQuery) -> dict[str, Any]:
        """The windows that are not as expected, the newest first."""
        for name in query.metrics:
            self.metric_named(name)
        rows = self._series.query(*anomalies_sql.anomalies(query))
        return {"anomalies": [_anomaly(row) for row in rows[: query.limit]], "has_more": len(rows) > query.limit}

    def _goes_by(self, user_id: str) -> str:
        """The visitor that a user is: another one where an operator merged them."""
        merged = self._first(sessions_sql.merged_into(f"u:{user_id}"))
        return str(merged[0]) if merged else f"u:{user_id}"

    def _page(
        self, places: Sequence[Row], limit: int, environment: str
    ) -> tuple[Sequence[Row], dict[str, msgspec.Raw]]:
        """The places that make a page, by number and by bytes, and their events."""
        page = places[:limit]
        events = {
            identity: msgspec.Raw(msgspec.json.encode(one)) for identity, one in self._events(page, environment).items()
        }
        size = 0
        for number, (_, identity, *_) in enumerate(page):
            size += transport_size(bytes(events.get(identity, b"")))
            if number and size > self._page_bytes:
                return page[:number], events
        return page, events

    def _events(self, places: Sequence[Row], environment: str) -> dict[str, dict[str, Any]]:
        """The events at some places, by id, ready for ``msgspec.json.encode``."""
        if not places:
            return {}
        shape = Shape("processed")
        found: dict[str, dict[str, Any]] = {}
        for event_id, *values in self._all(sessions_sql.events(places, shape, environment)):
            found.setdefault(event_id, shape.event(values))
        return found

    def _all(self, statement: Statement) -> list[Row]:
        return list(self._reader.rows(*statement))

    def _first(self, statement: Statement) -> Row | None:
        return next(iter(self._all(statement)), None)


def _bound_to(route: str, query: object) -> str:
    return f"{route}:{query!r}"


def _place(row: Row) -> Position:
    return Position(row[0], row[1])


def _next(position: Position | None, bound_to: str) -> dict[str, Any]:
    token = None if position is None else cursor.encode(position, bound_to)
    return {"next_cursor": token, "has_more": token is not None}


def _session(row: Row) -> dict[str, Any]:
    found = dict(zip(sessions_sql.FIELDS, row, strict=True))
    for name in _OPTIONAL:
        found[name] = found[name] or None
    for name in _TIMES:
        found[name] = instants.to_text(found[name])
    for name in _BOOLEANS:
        found[name] = bool(found[name])
    return found


def _steps(names: Sequence[str], visitors: Sequence[int], medians: Sequence[float | None]) -> list[dict[str, Any]]:
    first = visitors[0]
    found = []
    for place, (name, count) in enumerate(zip(names, visitors, strict=True)):
        before = visitors[place - 1] if place else count
        median = medians[place - 1] if place and count else None
        found.append(
            {
                "step": name,
                "visitors": count,
                "conversion": count / first if first else 0.0,
                "conversion_from_previous": count / before if before else 0.0,
                "median_seconds_from_previous": None if median is None else median / instants.SECOND,
            }
        )
    return found


def _anomaly(row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(anomalies_sql.COLUMNS, row, strict=True))
    return {
        "timestamp": instants.to_text(found.pop("ts")),
        "metric": found.pop("metric_name"),
        "tags": msgspec.json.decode(found.pop("tags") or "{}"),
        "computed_at": instants.to_text(found.pop("computed_at")),
        **found,
    }
