-- Visitors and sessions. Rows are superseded by newer versions of the same key; read the views
-- `session_events` and `sessions`, which show what holds now.

-- By what an event is recognised before anybody knows more: its user, else device, else client session, else address and agent.
ALTER TABLE processed_events {{on_cluster}} ADD COLUMN IF NOT EXISTS identity String DEFAULT multiIf(
    isNotNull(user_id), concat('u:', toString(assumeNotNull(user_id))),
    anonymous_id != '', concat('a:', anonymous_id),
    session_id != toUUID('00000000-0000-0000-0000-000000000000'), concat('s:', toString(session_id)),
    concat('f:', lower(hex(SHA256(concat(ip, '\n', JSONExtractString(context_text, 'user_agent'))))))
);

-- What recording left behind for the batches: a row a block of events, with the identities in it (also the devices of
-- links), the minutes of its events (also of failed ones), and the events that other deliveries of theirs contested.
-- A row is removed once everything it tells of has been computed.
CREATE TABLE IF NOT EXISTS touched {{on_cluster}}
(
    attempt_id UUID,
    identities Array(String) CODEC(ZSTD),
    minutes Array(DateTime('UTC')) CODEC(ZSTD),
    event_ids Array(UUID),
    events UInt32,
    touched_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{engine}}
ORDER BY touched_at
SETTINGS {{settings}};

-- Where an event names both a device and a user.
CREATE TABLE IF NOT EXISTS identity_links {{on_cluster}}
(
    anonymous_id String,
    timestamp DateTime64(9, 'UTC'),
    event_id UUID,
    user_id UUID,
    gone UInt8 DEFAULT 0,
    version UInt64 CODEC(Delta, ZSTD)
)
ENGINE = {{replicated}}ReplacingMergeTree(version, gone)
ORDER BY (anonymous_id, timestamp, event_id)
SETTINGS {{settings}};

-- What an operator said of visitors: that two are one, and that this was undone.
CREATE TABLE IF NOT EXISTS visitor_merges {{on_cluster}}
(
    merge_id UUID,
    visitor String,
    other String,
    merged_at DateTime64(3, 'UTC'),
    undone Bool DEFAULT false,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY merge_id
SETTINGS {{settings}};

-- What follows from it, as far as the batches have applied it: by which name a visitor goes.
CREATE TABLE IF NOT EXISTS visitor_aliases {{on_cluster}}
(
    visitor String,
    merged_into String,
    gone UInt8 DEFAULT 0,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version, gone)
ORDER BY visitor
SETTINGS {{settings}};

-- One row an event that counts, with its visitor and session. `content` is a hash of what the event itself told.
CREATE TABLE IF NOT EXISTS session_event_rows {{on_cluster}}
(
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    event_id UUID,
    identity String CODEC(ZSTD),
    visitor String CODEC(ZSTD),
    visitor_hash UInt64 DEFAULT cityHash64(visitor),
    session_id UUID,
    client_session_id UUID,
    key_id LowCardinality(String),
    environment LowCardinality(String),
    platform LowCardinality(String),
    event_type LowCardinality(String),
    event_name LowCardinality(String),
    country LowCardinality(String),
    device_type LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    campaign LowCardinality(String),
    referrer String CODEC(ZSTD),
    page_path String CODEC(ZSTD),
    is_bot Bool,
    content UInt64,
    gone UInt8 DEFAULT 0,
    version UInt64 CODEC(Delta, ZSTD),
    INDEX by_visitor visitor_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(version, gone)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, event_id)
SETTINGS {{settings}};

CREATE VIEW IF NOT EXISTS session_events {{on_cluster}} AS
SELECT timestamp, event_id, identity, visitor, visitor_hash, session_id, client_session_id, key_id, environment, platform,
    event_type, event_name, country, device_type, browser, os, campaign, referrer, page_path, is_bot, content, version
FROM session_event_rows FINAL;

-- One row a session. `after_gap` tells whether a pause began it, or the length of the one before; `digest` whether a
-- session computed anew is another.
CREATE TABLE IF NOT EXISTS session_rows {{on_cluster}}
(
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    session_id UUID,
    visitor String CODEC(ZSTD),
    visitor_hash UInt64 DEFAULT cityHash64(visitor),
    user_id Nullable(UUID),
    ended_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    duration_seconds Float64,
    event_count UInt64,
    page_view_count UInt64,
    entry_page String CODEC(ZSTD),
    exit_page String CODEC(ZSTD),
    referrer String CODEC(ZSTD),
    campaign LowCardinality(String),
    country LowCardinality(String),
    device_type LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    platforms Array(LowCardinality(String)),
    client_session_ids Array(UUID),
    is_bounce Bool,
    is_bot Bool,
    key_id LowCardinality(String),
    environment LowCardinality(String),
    after_gap Bool,
    digest UInt64,
    state Enum8('live' = 0, 'superseded' = 1),
    computed_at DateTime64(3, 'UTC'),
    version UInt64 CODEC(Delta, ZSTD),
    INDEX by_visitor visitor_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_version version TYPE minmax GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (started_at, session_id)
SETTINGS {{settings}};

CREATE VIEW IF NOT EXISTS sessions {{on_cluster}} AS
SELECT session_id, visitor, visitor_hash, user_id, started_at, ended_at, duration_seconds, event_count, page_view_count,
    entry_page, exit_page, referrer, campaign, country, device_type, browser, os, platforms, client_session_ids,
    is_bounce, is_bot, key_id, environment, state, computed_at, after_gap, digest, version
FROM session_rows FINAL
WHERE state = 'live';
