"""The fields of an event as readers see them: where each stands in the answer, its column, and its kind.

Everything else (the SELECT, the JSON, the CSV header, ``fields=``, the OpenAPI schema) is made from these lists.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Source = Literal["processed", "raw"]
Kind = Literal[
    "text", "optional", "uuid", "session", "time", "document", "number", "integer", "boolean", "texts", "errors"
]

DOCUMENTS = ("properties", "context", "metrics")


class Field(NamedTuple):
    """One leaf of the answer. ``path`` is dotted; ``shown`` is false for what is given only when asked for."""

    path: str
    column: str
    kind: Kind
    about: str
    shown: bool = True

    @property
    def expression(self) -> str:
        """The SQL that reads it: times as nanoseconds, everything else as it is stored."""
        return f"toUnixTimestamp64Nano({self.column})" if self.kind == "time" else self.column


def _group(prefix: str, columns: Mapping[str, str], kind: Kind, about: str) -> list[Field]:
    return [Field(f"{prefix}.{name}", column, kind, f"{about}: {name}.") for name, column in columns.items()]


def _same(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    return {name: prefix + name for name in names}


_IDENTITY = [
    Field("event_id", "event_id", "uuid", "The event's identity."),
    Field("event_type", "event_type", "text", "page_view, click, purchase, …"),
    Field("event_name", "event_name", "text", "What happened, in the sender's words."),
    Field("platform", "platform", "text", "web, ios, android, server, …"),
    Field("timestamp", "timestamp", "time", "When it happened, corrected for the client's clock."),
    Field("received_at", "received_at", "time", "When Weir received it."),
    Field("processed_at", "processed_at", "time", "When it was enriched."),
    Field("session_id", "session_id", "session", "The client's own session."),
    Field("user_id", "user_id", "uuid", "The user, as a UUID."),
    Field("user_ref", "user_ref", "optional", "The user id as it was sent."),
    Field("anonymous_id", "anonymous_id", "optional", "The device or browser before login."),
    Field("properties", "properties_text", "document", "Exactly as sent."),
    Field("context", "context_text", "document", "Exactly as sent."),
]
_ORIGIN = [
    Field("batch_id", "batch_id", "uuid", "The batch it came in.", shown=False),
    Field("batch_index", "batch_index", "integer", "Its place in the batch, from 0.", shown=False),
    Field("key_id", "key_id", "optional", "The key it was sent with.", shown=False),
    Field("stored_at", "stored_at", "time", "When it was written to the store.", shown=False),
]
PROCESSED: tuple[Field, ...] = (
    *_IDENTITY,
    *_group("geo", _same(("country", "region", "city"), "geo_"), "optional", "Where the address is"),
    *_group("geo", _same(("latitude", "longitude"), "geo_"), "number", "Where the address is, degrees"),
    Field("geo.timezone", "geo_timezone", "optional", "The time zone of the address."),
    *_group("user_agent.browser", _same(("name", "version"), "browser_"), "optional", "The browser"),
    *_group("user_agent.os", _same(("name", "version"), "os_"), "optional", "The operating system"),
    *_group("user_agent.device", _same(("family", "brand", "model", "type"), "device_"), "optional", "The device"),
    *_group(
        "traffic",
        _same(("channel", "source", "medium", "campaign", "term", "content", "click_id", "referrer_domain")),
        "optional",
        "How the visitor came",
    ),
    *_group("page", _same(("url", "host", "path", "query", "title"), "page_"), "optional", "The page"),
    Field("bot.is_bot", "is_bot", "boolean", "Whether a program sent it, as far as can be told."),
    Field("bot.reasons", "bot_reasons", "texts", "What gave it away."),
    Field("time.timezone", "timezone", "optional", "The time zone used for the local time."),
    Field("time.local_hour", "local_hour", "integer", "Hour of day there, 0 to 23."),
    Field("time.local_weekday", "local_weekday", "integer", "Day of week there, 1 is Monday."),
    Field("time.original_timestamp", "original_timestamp", "optional", "The timestamp as sent, when it was changed."),
    Field("flags", "flags", "texts", "What was noticed on the way."),
    Field("metrics", "metrics_text", "document", "The event's own numbers."),
    *_ORIGIN,
)
RAW: tuple[Field, ...] = (
    *_IDENTITY,
    Field("original_timestamp", "original_timestamp", "optional", "The timestamp as sent, when it was changed."),
    Field("processing_status", "processing_status", "text", "processed, failed, or pending while a replay has it."),
    Field(
        "errors",
        "error_message",
        "errors",
        "Why it failed, or what of its schema it violates: loc, code and message.",
    ),
    Field("error_codes", "error_codes", "texts", "The codes of these."),
    Field("flags", "flags", "texts", "What was noticed on the way."),
    Field("raw_data", "raw_data", "text", "The event's bytes as they came."),
    Field("raw_encoding", "raw_encoding", "optional", "base64 when the bytes are not UTF-8."),
    Field("digest", "digest", "text", "SHA-256 of the bytes, hexadecimal."),
    *(field._replace(shown=True) for field in _ORIGIN),
    Field("batch_size", "batch_size", "integer", "Events in its batch."),
    Field("queued_at", "queued_at", "time", "When the broker took it."),
    Field("attempt", "attempt", "integer", "On which try it was processed, from 1."),
    Field("envelope_version", "envelope_version", "integer", "The version of the queue message it came in."),
)
FIELDS: Mapping[Source, tuple[Field, ...]] = {"processed": PROCESSED, "raw": RAW}
TABLES: Mapping[Source, str] = {"processed": "processed_events", "raw": "raw_events"}
