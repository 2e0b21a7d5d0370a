-- One row a stitched session, under its start to the nanosecond. A session that changed its start or its id leaves
-- its old row behind, overwritten with state 'superseded': nothing here can be deleted or moved.
CREATE TABLE IF NOT EXISTS sessions (
    started_at TIMESTAMP_NS,
    session_id UUID,
    visitor VARCHAR,
    user_id VARCHAR,
    ended_at TIMESTAMP_NS,
    duration_seconds DOUBLE,
    event_count LONG,
    page_view_count LONG,
    entry_page VARCHAR,
    exit_page VARCHAR,
    referrer VARCHAR,
    campaign VARCHAR,
    country SYMBOL CAPACITY 512,
    device_type SYMBOL CAPACITY 64,
    browser SYMBOL CAPACITY 512,
    os SYMBOL CAPACITY 256,
    platforms VARCHAR,
    client_session_ids VARCHAR,
    is_bounce BOOLEAN,
    is_bot BOOLEAN,
    key_id SYMBOL CAPACITY 1024,
    environment SYMBOL CAPACITY 16,
    state SYMBOL CAPACITY 16,
    computed_at TIMESTAMP_NS
) TIMESTAMP(started_at) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(started_at, session_id);
