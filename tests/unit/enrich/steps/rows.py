"""Rows as the steps get them, with everything empty but what a test is about."""

from typing import Any

from functions.enrich.pipeline import Row

NOON_UTC = 1_763_640_000 * 10**9  # 2025-11-20T12:00:00Z, a Thursday

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.127 "
    "Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)


def row(**columns: Any) -> Row:
    """A web event of a browser that says nothing, changed by ``columns``."""
    return {
        "event_id": "0193a1b2-c3d4-7e5f-8a9b-000000000033",
        "event_type": "page_view",
        "event_name": "Page viewed",
        "platform": "web",
        "timestamp": NOON_UTC,
        "received_at": NOON_UTC,
        "original_timestamp": "",
        "properties": {},
        "context": {},
        "ip": "",
        "user_agent": CHROME,
        "flags": [],
        "session_id": "00000000-0000-0000-0000-000000000000",
        "user_id": None,
        "anonymous_id": "",
    } | columns
