"""Deliveries for tests: an event like any other, but for what is given."""

import hashlib
import uuid
from typing import Any

from functions.shared.domain import identity, ids
from schemas.rows import Delivery, ProcessedRow, RawRow

NOW = 1_767_225_600_000_000_000
_FAULTS = '[{"loc":["platform"],"code":"required","message":"It is missing."}]'


def delivery(*, failed: bool = False, properties: str = "{}", context: str = "{}", **changed: Any) -> Delivery:
    """A delivery of an event like any other, but for what is given."""
    event_id = changed.get("event_id") or str(uuid.uuid4())
    user_ref = changed.get("user_ref", "")
    common: dict[str, Any] = {
        "event_id": event_id,
        "raw_event_id": event_id,
        "received_at": NOW,
        "timestamp": NOW,
        "processed_at": NOW,
        "queued_at": NOW,
        "platform": "web",
        "event_type": "page_view",
        "event_name": "viewed",
        "session_id": ids.NIL,
        "user_id": ids.named("user", user_ref) if user_ref else None,
        "properties_text": properties,
        "context_text": context,
        "metrics_text": '{"payload_bytes":7}',
        "raw_data": f'{{"properties":{properties}}}',
        "processing_status": "failed" if failed else "processed",
        "error_message": _FAULTS if failed else "",
        "error_codes": ["required"] if failed else [],
        "flags": [],
        "batch_id": str(uuid.uuid4()),
        "batch_index": 0,
        "batch_size": 1,
        "envelope_version": 2,
        "attempt": 1,
        "sent_at": 0,
        "generation": 0,
        "geo_latitude": None,
        "geo_longitude": None,
        "is_bot": False,
        "bot_reasons": [],
        "local_hour": None,
        "local_weekday": None,
        **changed,
    }
    # A replay brings the same bytes again, whatever it makes of them.
    told = {name: value for name, value in common.items() if name != "generation"}
    common["digest"] = changed.get("digest") or hashlib.sha256(repr(sorted(told.items(), key=str)).encode()).hexdigest()
    sender = identity.of(
        common["user_id"],
        *(common.get(name) or "" for name in ("anonymous_id", "session_id", "ip", "user_agent")),
    )
    common.setdefault("identity", sender)
    raw = RawRow._make(common.get(name, "") for name in RawRow._fields)
    processed = ProcessedRow._make(common.get(name, "") for name in ProcessedRow._fields)
    return Delivery(raw, None if failed else processed)


# What makes filters on properties and context cheap; the reader is right without.
_INDEXES = {
    "processed_events": ("properties", "context"),
    "raw_events": ("properties", "context"),
}
