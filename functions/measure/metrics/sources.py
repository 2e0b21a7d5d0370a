"""What metrics are computed from: the tables, the time that decides a row's window, and what definitions may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from functions.shared.domain.environments import SQL as ENVIRONMENT

SourceName = Literal["visits", "events", "raw", "sessions", "firsts"]
Kind = Literal["text", "number", "boolean"]
DIMENSIONS = ("platform", "event_type", "country", "device_type")


@dataclass(frozen=True)
class Column:
    """A field that a filter or ``property`` may name, and the SQL that reads it."""

    sql: str
    kind: Kind


@dataclass(frozen=True)
class Source:
    """A table of rows that count. ``documents`` are the JSON columns whose paths may be named."""

    relation: str
    time: str
    environment: str
    columns: Mapping[str, Column]
    dimensions: Mapping[str, str]
    bot: str = ""
    documents: tuple[str, ...] = ()
    always: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def _texts(*names: str) -> dict[str, Column]:
    return {name: Column(name, "text") for name in names}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_LAG = "intDiv(toUnixTimestamp64Nano(processed_at) - toUnixTimestamp64Nano(received_at), 1000000)"
_SESSION = {
    **_texts("visitor", "country", "device_type", "browser", "os", "campaign", "referrer", "entry_page", "exit_page"),
    "platform": Column("platforms[1]", "text"),
    "is_bounce": Column("is_bounce", "boolean"),
    "event_count": Column("event_count", "number"),
    "page_view_count": Column("page_view_count", "number"),
    "duration_seconds": Column("duration_seconds", "number"),
}
_OF_A_SESSION = {"platform": "platforms[1]", **_same("country", "device_type")}

SOURCES: Mapping[SourceName, Source] = {
    "visits": Source(
        relation="session_events",
        time="timestamp",
        environment="environment",
        columns=_texts("visitor", "platform", "event_type", "event_name", "country", "device_type", "page_path"),
        dimensions=_same(*DIMENSIONS),
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
    ),
    "raw": Source(
        relation="raw_events",
        time="timestamp",
        environment=ENVIRONMENT,
        columns={
            **_texts("platform", "event_type", "event_name"),
            "status": Column("toString(processing_status)", "text"),
        },
        dimensions=_same("platform", "event_type"),
        documents=("properties",),
    ),
    "sessions": Source(
        relation="sessions",
        time="started_at",
        environment="environment",
        columns=_SESSION,
        dimensions=_OF_A_SESSION,
        bot="is_bot",
    ),
    "firsts": Source(
        relation="visitor_firsts",
        time="started_at",
        environment="environment",
        columns=_texts("visitor", "platform", "country", "device_type"),
        dimensions=_same("platform", "country", "device_type"),
    ),
}
