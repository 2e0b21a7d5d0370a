"""The operations about what the batches computed: sessions, journeys, funnels, paths, retention, metrics, anomalies."""

from functions.measure.metrics.sources import DIMENSIONS
from functions.serve import analytics_params as limits
from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref, several, span
from functions.serve.params import DEFAULT_LIMIT, MAX_LIMIT
from functions.serve.sessions_sql import FIELDS

_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_TIME: Json = {"type": "string", "format": "date-time"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_NUMBER: Json = {"type": "number"}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
_MAYBE_TEXT: Json = {"type": ["string", "null"]}
_MAYBE_NUMBER: Json = {"type": ["number", "null"]}
_CACHED = (
    "Made from what the batches have computed. `ETag` names the state of that: asked with `If-None-Match`, 304 says"
    " that nothing is new. `X-Cache` tells whether it was made for this request."
)
_HEADERS: Json = {
    "ETag": {"description": "Names the question and the state of the data.", "schema": _TEXT},
    "Cache-Control": {"description": "Private, and to be asked again each time.", "schema": _TEXT},
    "X-Cache": {"description": "HIT, or MISS when it was made for this request.", "schema": {"enum": ["HIT", "MISS"]}},
}
_RANGE = span("time")
_ENVIRONMENT = parameter(
    "environment", "What test keys sent is kept apart.", {"enum": list(limits.ENVIRONMENTS), "default": "live"}
)
_SCOPE = [
    *_RANGE,
    _ENVIRONMENT,
    parameter("bots", "Whether what bots did counts.", {"enum": list(limits.BOTS), "default": "include"}),
]
_INTERVAL: Json = {"enum": ["1m", "1h", "1d"]}


def _whole(low: int, high: int, default: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


_PAGE = [
    parameter("limit", "How many on a page.", _whole(1, MAX_LIMIT, DEFAULT_LIMIT)),
    parameter("cursor", "next_cursor of the page before.", _TEXT),
]


def paths() -> dict[str, Json]:
    """The routes."""
    session = parameter("session_id", "The session, as stitched.", _UUID, "path")
    user = parameter("user_id", "The user: the UUID, or the id as it was sent.", _TEXT, "path")
    return {
        "/api/v1/sessions": {"get": _one("listSessions", "Sessions, the newest first", "SessionPage", _sessions())},
        "/api/v1/sessions/{session_id}": {
            "get": _one("getSession", "A session with its events", "SessionWithEvents", [session, *_PAGE], 404)
        },
        "/api/v1/users/{user_id}/journey": {
            "get": _one("getJourney", "A user's sessions and events in order", "Journey", [user, *_PAGE], 404)
        },
        "/api/v1/funnels": {
            "get": _one("getFunnel", "How many go on from step to step", "Funnel", _funnel(), about=_FUNNEL)
        },
        "/api/v1/paths": {"get": _one("listPaths", "The commonest paths", "Paths", _paths(), about=_PATHS)},
        "/api/v1/retention": {
            "get": _one("getRetention", "How many come back", "Retention", _retention(), about=_RETENTION)
        },
        "/api/v1/metrics": {"get": _one("listMetrics", "What is measured", "Metrics", [])},
        "/api/v1/metrics/{name}": {
            "get": _one("getMetric", "A metric's series", "MetricSeries", _metric(), 404, about=_METRIC)
        },
        "/api/v1/anomalies": {
            "get": _one("listAnomalies", "Windows that are not as expected", "Anomalies", _anomalies(), 404)
        },
    }


_FUNNEL = (
    "A step is an event's name. A visitor, as stitched, passes a step by an event after that of the step before, within"
    " the window from the first; of all ways the one from the earliest first step that gets furthest counts. A group is"
    " that of the event that was the first step."
)
_PATHS = (
    "From the start of a session, or from the first place called `start`: the page path of page views and the name of"
    " other events, repeats in a row merged. The range is of the sessions' starts."
)
_RETENTION = (
    "A cohort is all visitors whose first event ever was in an interval (UTC, weeks from Monday). `returning[k]` is how"
    " many of them had an event in the k-th interval after. The range is of the first events."
)
_METRIC = (
    "Without a range: the newest windows. Without tags: the total. A window in which nothing was measured has no point."
    " `tags.<dimension>` and `group_by` choose the series, by a grouping that GET /api/v1/metrics lists."
)


def _one(name: str, summary: str, schema: str, parameters: list[Json], *more: int, about: str = "") -> Json:
    responses = {"200": ok(f"{summary}.", ref(schema), _HEADERS), "304": _unchanged(), **problems(400, *more, 429, 503)}
    told = f"{about}\n\n{_CACHED}" if about else _CACHED
    return operation(name, "Analysing", summary, responses, told, parameters=parameters)


def _unchanged() -> Json:
    found = ok("What the client has is still so.", {}, _HEADERS)
    del found["content"]
    return found


def _sessions() -> list[Json]:
    user = parameter("user_id", "The user: the UUID, or the id as it was sent.", _TEXT)
    device = parameter("anonymous_id", "Sessions with an event of this device.", _TEXT)
    return [*_SCOPE, user, device, *_PAGE]


def _funnel() -> list[Json]:
    steps = {**_TEXTS, "minItems": limits.MIN_STEPS, "maxItems": limits.MAX_STEPS}
    window: Json = {"type": "integer", "minimum": 1, "maximum": limits.MAX_WINDOW_SECONDS}
    return [
        *_SCOPE,
        parameter("steps", "Event names in order, comma-separated.", steps, style="form", explode=False, required=True),
        parameter("window_seconds", "How long after the first step the last may be.", window, required=True),
        parameter("group_by", "One funnel a group.", {"enum": list(limits.GROUPS)}),
    ]


def _paths() -> list[Json]:
    return [
        *_SCOPE,
        parameter("start", "A page path or an event's name to begin at.", _TEXT),
        parameter("depth", "How many places of a path.", _whole(1, limits.MAX_DEPTH, limits.DEFAULT_DEPTH)),
        parameter("limit", "How many paths.", _whole(1, limits.MAX_PATHS, limits.DEFAULT_PATHS)),
    ]


def _retention() -> list[Json]:
    return [*_SCOPE, parameter("interval", "The length of an interval.", {"enum": ["day", "week"], "default": "day"})]


def _metric() -> list[Json]:
    dimensions = [*DIMENSIONS, "environment"]
    tags: Json = {
        "type": "object",
        "patternProperties": {f"^tags\\.({'|'.join(dimensions)})$": _TEXTS},
        "additionalProperties": False,
    }
    groups: Json = {"type": "array", "items": {"enum": list(DIMENSIONS)}}
    example = {"tags.platform": "web"}
    return [
        parameter("name", "The metric.", _TEXT, "path"),
        *_RANGE,
        parameter("interval", "The length of a window; 1h where it is measured.", _INTERVAL),
        parameter("tags", "Only these: `tags.platform=web`.", tags, style="form", explode=True, example=example),
        parameter("group_by", "One series a value, comma-separated.", groups, style="form", explode=False),
    ]


def _anomalies() -> list[Json]:
    return [
        *_RANGE,
        _ENVIRONMENT,
        several("metric", "The metric.", _TEXT),
        parameter("interval", "The length of a window.", _INTERVAL),
        parameter("limit", "How many.", _whole(1, MAX_LIMIT, DEFAULT_LIMIT)),
    ]


_OF_SESSION: dict[str, Json] = {
    "session_id": _UUID,
    "visitor": {**_TEXT, "description": "u: user, a: device, s: the client's session, f: address and agent."},
    "user_id": {"type": ["string", "null"], "format": "uuid"},
    "started_at": _TIME,
    "ended_at": _TIME,
    "duration_seconds": _NUMBER,
    "event_count": _COUNT,
    "page_view_count": _COUNT,
    "platforms": _TEXTS,
    "client_session_ids": {"type": "array", "items": _UUID},
    "is_bounce": {"type": "boolean", "description": "One event."},
    "is_bot": {"type": "boolean", "description": "Any of its events is a bot's."},
    "environment": {"enum": list(limits.ENVIRONMENTS)},
    "state": {"enum": ["live", "superseded"]},
    "computed_at": _TIME,
}


def schemas() -> dict[str, Json]:
    """Every schema by name."""
    session = {name: _OF_SESSION.get(name, _MAYBE_TEXT) for name in FIELDS}
    more: dict[str, Json] = {"next_cursor": _MAYBE_TEXT, "has_more": {"type": "boolean"}}
    events: Json = {"events": {"type": "array", "items": ref("ProcessedEvent")}}
    return {
        "Session": _object("A session as stitched.", session),
        "SessionPage": _object("A page of sessions.", {"sessions": _list("Session"), **more}),
        "SessionWithEvents": _object("A session with a page of its events.", {**session, **events, **more}),
        "JourneySession": {
            **_object("A session, and those of its events that are on the page.", {**session, **events}),
            "required": ["session_id", "events"],
        },
        "Journey": _object(
            "A page of a user's events, by session.",
            {"user_id": _UUID, "visitor": _TEXT, "sessions": _list("JourneySession"), **more},
        ),
        **_funnels(),
        "Paths": _object(
            "The commonest paths, and of how many sessions.",
            {"start": _MAYBE_TEXT, "depth": _COUNT, "sessions": _COUNT, "paths": _list("Path")},
        ),
        "Path": _object("A path.", {"path": _TEXTS, "sessions": _COUNT, "share": _SHARE}),
        "Retention": _object("Cohorts, the newest first.", {"interval": _TEXT, "cohorts": _list("Cohort")}),
        "Cohort": _object(
            "Those who came first in an interval; by each interval from it, how many came and their part.",
            {
                "cohort": {"type": "string", "format": "date"},
                "visitors": _COUNT,
                "returning": {"type": "array", "items": _COUNT},
                "rates": {"type": "array", "items": _SHARE},
            },
        ),
        **_metrics(),
        **_of_anomalies(),
    }


def _funnels() -> dict[str, Json]:
    step = {
        "step": _TEXT,
        "visitors": _COUNT,
        "conversion": {**_SHARE, "description": "Of those at the first step."},
        "conversion_from_previous": _SHARE,
        "median_seconds_from_previous": _MAYBE_NUMBER,
    }
    funnel: dict[str, Json] = {
        "window_seconds": _COUNT,
        "steps": _list("FunnelStep"),
        "group_by": _TEXT,
        "groups": _list("FunnelGroup"),
    }
    return {
        "Funnel": {**_object("The steps, or those of each group.", funnel), "required": ["window_seconds"]},
        "FunnelGroup": _object("A group's steps.", {"group": _MAYBE_TEXT, "steps": _list("FunnelStep")}),
        "FunnelStep": _object("Who came to a step.", step),
    }


def _metrics() -> dict[str, Json]:
    groupings = {"type": "array", "items": {"type": "array", "items": {"enum": list(DIMENSIONS)}}}
    known = {
        "name": _TEXT,
        "about": _TEXT,
        "kind": {"enum": ["count", "unique", "sum", "quantile", "rate", "ratio", "difference"]},
        "unit": _MAYBE_TEXT,
        "intervals": {
            "type": "object",
            "additionalProperties": groupings,
            "description": "By interval, the groupings of its series; [] is the total.",
        },
    }
    series = {
        "metric": _TEXT,
        "interval": _INTERVAL,
        "from": _TIME,
        "to": _TIME,
        "unit": _MAYBE_TEXT,
        "group_by": _TEXTS,
        "series": _list("Series"),
    }
    return {
        "Metrics": _object("What is measured.", {"metrics": _list("Metric")}),
        "Metric": _object("A metric.", known),
        "MetricSeries": _object("The series of a metric.", series),
        "Series": _object("The points of a group, in order.", {"tags": _TAGS, "points": _list("Point")}),
        "Point": _object("A window, by its start, and its value.", {"timestamp": _TIME, "value": _MAYBE_NUMBER}),
    }


def _of_anomalies() -> dict[str, Json]:
    found = {
        "timestamp": _TIME,
        "metric": _TEXT,
        "interval": _INTERVAL,
        "tags": _TAGS,
        "value": _MAYBE_NUMBER,
        "expected": _MAYBE_NUMBER,
        "lower": _MAYBE_NUMBER,
        "upper": _MAYBE_NUMBER,
        "score": _SHARE,
        "severity": _TEXT,
        "run_length": {**_COUNT, "description": "How many windows in a row."},
        "computed_at": _TIME,
    }
    return {
        "Anomalies": _object("The newest first.", {"anomalies": _list("Anomaly"), "has_more": {"type": "boolean"}}),
        "Anomaly": _object("A window that is not as expected.", found),
    }


_TAGS: Json = {"type": "object", "additionalProperties": _TEXT}


def _list(name: str) -> Json:
    return {"type": "array", "items": ref(name)}


def _object(about: str, properties: dict[str, Json]) -> Json:
    return {"type": "object", "description": about, "properties": properties, "required": list(properties)}
