"""The query strings of sessions, funnels, paths, retention, metrics and anomalies, read as typed questions."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from functions.serve import params
from functions.serve.params import Params, bad, choice, integer, one
from functions.shared.domain.instants import SECOND
from functions.shared.errors import Forbidden

Environment = Literal["live", "test"]
GROUPS = ("platform", "country", "device_type")
ENVIRONMENTS = ("live", "test")
BOTS = ("include", "exclude")
MAX_STEPS, MIN_STEPS = 10, 2
MAX_WINDOW_SECONDS = 366 * 86_400
DEFAULT_DEPTH, MAX_DEPTH = 5, 20
DEFAULT_PATHS, MAX_PATHS = 20, 500
_COMMON = ("from", "to", "environment", "bots")
SESSIONS_KNOWN = (*_COMMON, "user_id", "anonymous_id", "limit", "cursor")
FUNNEL_KNOWN = (*_COMMON, "steps", "window_seconds", "group_by")
PATHS_KNOWN = (*_COMMON, "start", "depth", "limit")
RETENTION_KNOWN = (*_COMMON, "interval")
PAGE_KNOWN = ("limit", "cursor")
METRIC_KNOWN = ("from", "to", "interval", "group_by", "tags.<dimension>")
ANOMALIES_KNOWN = ("from", "to", "environment", "metric", "interval", "limit")


class Scope(NamedTuple):
    """Which part of what is stored: half-open in time (nanoseconds), one environment, with bots or without."""

    since: int | None = None
    until: int | None = None
    environment: str = "live"
    bots: bool = True


class Paging(NamedTuple):
    """Which page."""

    limit: int = params.DEFAULT_LIMIT
    cursor: str = ""


class SessionsQuery(NamedTuple):
    """``GET /api/v1/sessions``"""

    scope: Scope
    user_id: str | None
    anonymous_id: str | None
    paging: Paging


class FunnelQuery(NamedTuple):
    """``GET /api/v1/funnels``"""

    scope: Scope
    steps: tuple[str, ...]
    window_ns: int
    group_by: str | None


class PathsQuery(NamedTuple):
    """``GET /api/v1/paths``"""

    scope: Scope
    start: str | None
    depth: int
    limit: int


class RetentionQuery(NamedTuple):
    """``GET /api/v1/retention``"""

    scope: Scope
    interval: str


class MetricQuery(NamedTuple):
    """``GET /api/v1/metrics/{name}``. ``tags`` are any-of by dimension; a range may be open."""

    since: int | None
    until: int | None
    interval: str | None
    tags: tuple[tuple[str, tuple[str, ...]], ...]
    group_by: tuple[str, ...]


class AnomaliesQuery(NamedTuple):
    """``GET /api/v1/anomalies``"""

    since: int | None
    until: int | None
    environment: str
    metrics: tuple[str, ...]
    interval: str | None
    limit: int


def sessions_query(given: Params, environment: str = "live") -> SessionsQuery:
    """Read the parameters. Raises :class:`BadRequest` that names the one at fault, as all of these do."""
    scope = _scope(given, SESSIONS_KNOWN, environment)
    user = _filled(given, "user_id")
    anonymous_id = _filled(given, "anonymous_id")
    return SessionsQuery(scope, None if user is None else params.user(user), anonymous_id, _paging(given))


def funnel_query(given: Params, environment: str = "live") -> FunnelQuery:
    """``steps`` may be repeated or separated by commas."""
    scope = _scope(given, FUNNEL_KNOWN, environment)
    steps = tuple(step.strip() for value in given.get("steps", ()) for step in value.split(","))
    if len(steps) < MIN_STEPS:
        bad("steps", f"a funnel needs at least {MIN_STEPS} event names, separated by commas.")
    if len(steps) > MAX_STEPS:
        bad("steps", f"a funnel may have up to {MAX_STEPS} steps.")
    if not all(steps):
        bad("steps", "names must not be empty.")
    if "window_seconds" not in given:
        bad("window_seconds", "is needed: how long after the first step the last one may be.", "missing_parameter")
    window = integer("window_seconds", one(given, "window_seconds"), 1, MAX_WINDOW_SECONDS)
    group_by = choice("group_by", one(given, "group_by"), GROUPS) if "group_by" in given else None
    return FunnelQuery(scope, steps, window * SECOND, group_by)


def paths_query(given: Params, environment: str = "live") -> PathsQuery:
    """See :func:`sessions_query`."""
    return PathsQuery(
        _scope(given, PATHS_KNOWN, environment),
        _filled(given, "start"),
        integer("depth", one(given, "depth", str(DEFAULT_DEPTH)), 1, MAX_DEPTH),
        integer("limit", one(given, "limit", str(DEFAULT_PATHS)), 1, MAX_PATHS),
    )


def retention_query(given: Params, environment: str = "live") -> RetentionQuery:
    """See :func:`sessions_query`."""
    return RetentionQuery(
        _scope(given, RETENTION_KNOWN, environment), choice("interval", one(given, "interval", "day"), ("day", "week"))
    )


def page_query(given: Params) -> Paging:
    """Only which page."""
    params.guard(given)
    params.only(given, PAGE_KNOWN)
    return _paging(given)


def metric_query(given: Params, dimensions: Sequence[str], environment: str = "live") -> MetricQuery:
    """``tags.<dimension>`` may be repeated: any of its values. ``group_by`` may name several."""
    params.guard(given)
    tags: dict[str, tuple[str, ...]] = {}
    for name, values in given.items():
        if name.startswith("tags."):
            choice(name, name[5:], (*dimensions, "environment"))
            tags[name[5:]] = tuple(sorted({_nonempty(name, value) for value in values}))
            if name == "tags.environment":
                for value in values:
                    _own(name, choice(name, value, ENVIRONMENTS), environment)
        elif name not in METRIC_KNOWN:
            params.unknown(name, METRIC_KNOWN)
    group_by = [part.strip() for value in given.get("group_by", ()) for part in value.split(",")]
    for part in group_by:
        choice("group_by", part, tuple(dimensions))
    since, until = _range(given)
    interval = choice("interval", one(given, "interval"), ("1m", "1h", "1d")) if "interval" in given else None
    tags["environment"] = (environment,)
    return MetricQuery(since, until, interval, tuple(sorted(tags.items())), tuple(sorted(set(group_by))))


def anomalies_query(given: Params, environment: str = "live") -> AnomaliesQuery:
    """See :func:`sessions_query`."""
    params.guard(given)
    params.only(given, ANOMALIES_KNOWN)
    since, until = _range(given)
    interval = choice("interval", one(given, "interval"), ("1m", "1h", "1d")) if "interval" in given else None
    names = tuple(sorted({_nonempty("metric", value) for value in given.get("metric", ())}))
    limit = integer("limit", one(given, "limit", str(params.DEFAULT_LIMIT)), 1, params.MAX_LIMIT)
    return AnomaliesQuery(since, until, _environment(given, environment), names, interval, limit)


def _scope(given: Params, known: Sequence[str], environment: str) -> Scope:
    params.guard(given)
    params.only(given, known)
    since, until = _range(given)
    return Scope(
        since, until, _environment(given, environment), choice("bots", one(given, "bots", "include"), BOTS) == "include"
    )


def _environment(given: Params, own: str) -> str:
    """The environment of who asks. Asked for by name, it is to be that one."""
    return _own("environment", choice("environment", one(given, "environment", own), ENVIRONMENTS), own)


def _own(name: str, asked: str, own: str) -> str:
    if asked != own:
        raise Forbidden("key_environment", f"{name}: the key is of the {own} environment and sees no other.")
    return own


def _range(given: Mapping[str, Sequence[str]]) -> tuple[int | None, int | None]:
    since, until = params.time_range(given)
    if since is not None and since == until:
        bad("from", "must be before to: the range is empty.")
    return since, until


def _paging(given: Params) -> Paging:
    limit = integer("limit", one(given, "limit", str(params.DEFAULT_LIMIT)), 1, params.MAX_LIMIT)
    return Paging(limit, one(given, "cursor"))


def _filled(given: Params, name: str) -> str | None:
    return _nonempty(name, one(given, name)) if name in given else None


def _nonempty(name: str, value: str) -> str:
    if not value:
        bad(name, "must not be empty.")
    return value
