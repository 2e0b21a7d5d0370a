"""The rows of the time-series store, and what each table is keyed by. Instants are nanoseconds since 1970, UTC.

A row replaces, as a whole, the row of the same key; None is null. Nothing is deleted: ``state`` says what still holds.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Interval = Literal["1m", "1h", "1d"]
Standing = Literal["live", "gone"]


class MetricRow(NamedTuple):
    """A metric's value in one window of one group. ``ts`` is the window's start.

    ``tags`` and ``tags_hash`` are of :mod:`functions.shared.domain.tags`; the columns between repeat the main tags.
    ``properties`` is JSON (numerator, denominator, samples). A group that vanished is written as "gone", without value.
    """

    ts: int
    metric_name: str
    interval: Interval
    environment: str
    key_id: str | None
    platform: str | None
    event_type: str | None
    country: str | None
    device_type: str | None
    value: float | None
    tags: str
    tags_hash: int
    properties: str
    state: Standing
    computed_at: int
    event_name: str | None = None


class SessionRow(NamedTuple):
    """A stitched session. Where its start or id changes, the old key is written once more as "superseded".

    ``platforms`` and ``client_session_ids`` are JSON arrays.
    """

    started_at: int
    session_id: str
    visitor: str
    user_id: str | None
    ended_at: int
    duration_seconds: float
    event_count: int
    page_view_count: int
    entry_page: str | None
    exit_page: str | None
    referrer: str | None
    campaign: str | None
    country: str | None
    device_type: str | None
    browser: str | None
    os: str | None
    platforms: str
    client_session_ids: str
    is_bounce: bool
    is_bot: bool
    key_id: str | None
    environment: str
    state: Literal["live", "superseded"]
    computed_at: int


class AnomalyRow(NamedTuple):
    """A window of a series, judged by the windows before it: the expected value, its band, a score in 0 to 1."""

    ts: int
    metric_name: str
    interval: Interval
    tags: str
    tags_hash: int
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float
    severity: str
    run_length: int
    is_anomaly: bool
    state: Standing
    computed_at: int


@dataclass(frozen=True)
class SeriesTable:
    """A table: its columns in order (the first is its time), which times keep microseconds alone, and its key."""

    name: str
    columns: tuple[str, ...]
    micros: frozenset[str]
    keys: tuple[str, ...]


_SERIES_KEY = ("ts", "metric_name", "interval", "tags_hash")
METRICS = SeriesTable("metrics", MetricRow._fields, frozenset(("ts", "computed_at")), _SERIES_KEY)
SESSIONS = SeriesTable("sessions", SessionRow._fields, frozenset(), ("started_at", "session_id"))
ANOMALIES = SeriesTable("anomalies", AnomalyRow._fields, frozenset(("ts", "computed_at")), _SERIES_KEY)
TABLES = (METRICS, SESSIONS, ANOMALIES)
