"""What metrics are computed from: the tables, the time that decides a row's window, and what definitions may name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from functions.measure import attempts
from functions.shared.domain.environments import SQL as ENVIRONMENT

SourceName = Literal["visits", "events", "raw", "sessions", "firsts"]
Kind = Literal["text", "number", "boolean"]
DIMENSIONS = ("platform", "event_type", "country", "device_type", "event_name", "key_id")
# Of event names only so many are told apart, an environment (docs/adr/0009-quality.md).
OTHER = "other"


@dataclass(frozen=True)
class Column:
    """A field that a filter or ``property`` may name, and the SQL that reads it.

    ``number``: what has a number of its own for each different value, counted from one.
    """

    sql: str
    kind: Kind
    number: str = ""


@dataclass(frozen=True)
class Source:
    """A table and which of its rows count. ``documents`` are the JSON columns whose paths may be named.

    ``versioned``: the newest row of a key stands, and ``time`` is part of the key, so rows may be chosen by it first.
    ``near``: where it is not part of the key, the column by which all versions of the rows that may be meant are found.
    ``counts``: which rows a merge takes, and ``came``: which of them no merge before had taken; where rows tell.
    """

    relation: str
    time: str
    environment: str
    columns: Mapping[str, Column]
    dimensions: Mapping[str, str]
    bot: str = ""
    documents: tuple[str, ...] = ()
    always: str = ""
    versioned: bool = False
    counts: str = ""
    came: str = ""
    near: str = ""


def _texts(*names: str) -> dict[str, Column]:
    return {name: Column(name, "text") for name in names}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# A name that is not tracked is one of the others.
_TRACKED_NAME = (
    f"if(event_name = '' OR ({ENVIRONMENT}, event_name) IN"  # noqa: S608  names of our own
    " (SELECT environment, event_name FROM tracked_event_names),"
    f" event_name, '{OTHER}')"
)
_VISITOR = {"visitor": Column("visitor", "text", "visitor_number")}
_LAG = "intDiv(toUnixTimestamp64Nano(processed_at) - toUnixTimestamp64Nano(received_at), 1000000)"
_SESSION = {
    **_VISITOR,
    **_texts("country", "device_type", "browser", "os", "campaign", "referrer", "entry_page", "exit_page"),
    "platform": Column("platforms[1]", "text"),
    "is_bounce": Column("is_bounce", "boolean"),
    "event_count": Column("event_count", "number"),
    "page_view_count": Column("page_view_count", "number"),
    "duration_seconds": Column("duration_seconds", "number"),
}
_OF_A_SESSION = {"platform": "platforms[1]", **_same("country", "device_type")}

SOURCES: Mapping[SourceName, Source] = {
    "visits": Source(
        relation="session_event_rows",
        time="timestamp",
        environment="environment",
        versioned=True,
        counts="made <= {made:UInt64}",
        # What was made by a version is not of an older one, and versions are looked for by an index.
        came="version > {compared:UInt64} AND made > {compared:UInt64} AND made <= {made:UInt64}",
        columns={
            **_VISITOR,
            **_texts("platform", "event_type", "event_name", "country", "device_type", "page_path"),
        },
        dimensions=_same("platform", "event_type", "country", "device_type"),
        bot="is_bot",
    ),
    "events": Source(
        relation="processed_events",
        time="timestamp",
        environment=ENVIRONMENT,
        columns={
            **_texts("platform", "event_type", "event_name", "device_type", "channel", "source", "medium", "campaign"),
            **_texts("page_host", "page_path", "browser_name", "os_name"),
            "country": Column("geo_country", "text"),
            "ingestion_lag_ms": Column(_LAG, "number"),
        },
        dimensions={**_same("platform", "event_type", "device_type"), "country": "geo_country"},
        bot="is_bot",
        documents=("properties", "metrics"),
        counts=attempts.COUNTS,
        came=attempts.CAME,
    ),
    "raw": Source(
        relation="raw_events",
        time="timestamp",
        environment=ENVIRONMENT,
        columns={
            **_texts("platform", "event_type", "event_name"),
            "status": Column("toString(processing_status)", "text"),
            "schema_violation": Column("has(error_codes, 'schema_violation')", "boolean"),
        },
        dimensions={**_same("platform", "event_type", "key_id"), "event_name": _TRACKED_NAME},
        documents=("properties",),
        counts=attempts.COUNTS,
        came=attempts.CAME,
    ),
    "sessions": Source(
        relation="session_rows",
        time="started_at",
        environment="environment",
        versioned=True,
        always="state = 'live'",
        columns=_SESSION,
        dimensions=_OF_A_SESSION,
        bot="is_bot",
    ),
    "firsts": Source(
        relation="visitor_first_rows",
        time="started_at",
        environment="environment",
        always="NOT gone",
        near="visitor_hash",
        columns=_texts("visitor", "platform", "country", "device_type"),
        dimensions=_same("platform", "country", "device_type"),
    ),
}
