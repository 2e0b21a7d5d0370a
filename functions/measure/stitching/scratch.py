"""The tables a step of stitching works in. They hold nothing that outlives the step, so they are in memory."""

# What an event itself tells, by column of session_event_rows.
PAYLOAD = {
    "identity": "String",
    "anonymous_id": "String",
    "client_session_id": "UUID",
    "key_id": "LowCardinality(String)",
    "environment": "LowCardinality(String)",
    "platform": "LowCardinality(String)",
    "event_type": "LowCardinality(String)",
    "event_name": "LowCardinality(String)",
    "country": "LowCardinality(String)",
    "device_type": "LowCardinality(String)",
    "browser": "LowCardinality(String)",
    "os": "LowCardinality(String)",
    "campaign": "LowCardinality(String)",
    "referrer": "String",
    "page_path": "String",
    "is_bot": "Bool",
}
_TIME = "DateTime64(9, 'UTC')"
_KEY = {"timestamp": _TIME, "event_id": "UUID"}
# `direct`: the event itself is new, changed or gone; others only follow a link or a merge.
_EVENT = {
    **_KEY,
    **PAYLOAD,
    "content": "UInt64",
    "gone": "Bool",
    "direct": "Bool",
    "old_visitor": "String",
    "old_session_id": "UUID",
    "old_content": "UInt64",
    "old_made": "UInt64",
    "old_number": "UInt64",
}
# What a session tells, by column of session_rows.
SESSION = {
    "started_at": _TIME,
    "session_id": "UUID",
    "visitor": "String",
    "visitor_number": "UInt64",
    "user_id": "Nullable(UUID)",
    "ended_at": _TIME,
    "duration_seconds": "Float64",
    "event_count": "UInt64",
    "page_view_count": "UInt64",
    "entry_page": "String",
    "exit_page": "String",
    "referrer": "String",
    "campaign": "LowCardinality(String)",
    "country": "LowCardinality(String)",
    "device_type": "LowCardinality(String)",
    "browser": "LowCardinality(String)",
    "os": "LowCardinality(String)",
    "platforms": "Array(LowCardinality(String))",
    "client_session_ids": "Array(UUID)",
    "is_bounce": "Bool",
    "is_bot": "Bool",
    "key_id": "LowCardinality(String)",
    "environment": "LowCardinality(String)",
    "after_gap": "Bool",
    # Nanoseconds: of the last event that decided any of the firsts above, and of the last page view, 0 without one.
    "settled_at": "Int64",
    "viewed_at": "Int64",
}
TABLES: dict[str, dict[str, str]] = {
    "stitch_minutes": {"minute": "DateTime('UTC')"},
    # `came`: it told for the first time, and none of its events had rivals.
    "stitch_attempts": {"attempt_id": "UUID", "minutes": "Array(DateTime('UTC'))", "came": "Bool"},
    "stitch_contested": {"event_id": "UUID"},
    # Events as they are now; and those to look at, with what they were, before it is known whose they are.
    "stitch_fresh": {**_KEY, **PAYLOAD, "fresh_content": "UInt64"},
    "stitch_found": {
        **_EVENT,
        "old_environment": "LowCardinality(String)",
        "old_identity": "String",
        "old_anonymous_id": "String",
    },
    # Devices whose links changed, and all links that they have now.
    "stitch_relinked": {"anonymous_id": "String"},
    "stitch_links": {"environment": "LowCardinality(String)", "anonymous_id": "String", **_KEY, "user_id": "UUID"},
    # Names that visitors go by, and the visitors that go by another one than before.
    "stitch_aliases": {"visitor": "String", "merged_into": "String"},
    "stitch_renamed": {"visitor": "String"},
    # From here on a visitor's name tells the environment too, and so does `old_visitor` from the first.
    "stitch_changes": {**_EVENT, "visitor": "String"},
    # For whom something changed: the nanoseconds of the first and the last change, whether events only came, and then
    # those of the page views among them.
    "stitch_concerned": {
        "visitor": "String",
        "first": "Int64",
        "last": "Int64",
        "came": "Bool",
        "views": "Array(Int64)",
    },
    # From where to where the sessions of a visitor are computed anew: nanoseconds, the second is beyond the last.
    # `behind`: what came is behind all that was there, or all of the last session that matters, so no other events are
    # needed; `follows`: and the session at `lo` goes on with it. Whose events came `late` may have several such parts:
    # the sessions `amid` the events are told (start, end, after a pause, settled, viewed), and when the newest began.
    "stitch_reach": {
        "visitor": "String",
        "lo": "Int64",
        "hi": "Int64",
        "lo_after_gap": "Bool",
        "behind": "Bool",
        "follows": "Bool",
        "number": "UInt64",
        "late": "Bool",
        "amid": "Array(Tuple(Int64, Int64, Bool, Int64, Int64))",
        "newest": "Int64",
    },
    "stitch_parts": {
        "visitor": "String",
        "lo": "Int64",
        "hi": "Int64",
        "lo_after_gap": "Bool",
        "follows": "Bool",
        "fits": "Bool",
    },
    # The events there that did not change.
    "stitch_kept": {**_EVENT, "visitor": "String"},
    # Events that no pause sets apart, from the first to the last of them: a session, if that is not too long for one.
    "stitch_blocks": {"visitor": "String", "block": "Int64", "last": "Int64"},
    "stitch_starts": {"visitor": "String", "block": "Int64", "start": "Int64"},
    "stitch_sessions": {**SESSION, "start": "Int64", "digest": "UInt64"},
    "stitch_standing": {**SESSION, "digest": "UInt64"},
}


def create(table: str) -> str:
    """The statement that makes a table, in place of one that an older version may have left."""
    columns = ", ".join(f"{name} {kind}" for name, kind in TABLES[table].items())
    return f"CREATE OR REPLACE TABLE {table} ({columns}) ENGINE = Memory"


def columns(table: str) -> str:
    """A table's columns, in order."""
    return ", ".join(TABLES[table])
