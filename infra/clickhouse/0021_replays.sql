-- Dead letters as rows, and replays (docs/adr/0015-replays.md).
-- A delivery that a replay brings again is the same delivery with a higher `generation`; 0 is as it first came. What of
-- the request an event needs to be enriched again is kept with it (`sent_at`: nanoseconds, 0 where it was not said), and
-- so is the patch by which it was read (`raw_data` stays as it came).
ALTER TABLE raw_events {{on_cluster}}
    ADD COLUMN IF NOT EXISTS sent_at Int64 CODEC(ZSTD),
    ADD COLUMN IF NOT EXISTS request_ip String CODEC(ZSTD),
    ADD COLUMN IF NOT EXISTS request_user_agent String CODEC(ZSTD),
    ADD COLUMN IF NOT EXISTS patch String CODEC(ZSTD),
    ADD COLUMN IF NOT EXISTS generation UInt64 CODEC(ZSTD),
    ADD INDEX IF NOT EXISTS by_generation generation TYPE minmax GRANULARITY 1;
ALTER TABLE processed_events {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64 CODEC(ZSTD);
ALTER TABLE event_deliveries {{on_cluster}}
    ADD COLUMN IF NOT EXISTS generation UInt64 CODEC(ZSTD),
    ADD INDEX IF NOT EXISTS by_generation generation TYPE minmax GRANULARITY 1;

-- What the broker gave up, a row an event. `header` is that of its message, of which the event was one line: with both,
-- the message can be made again (but for what is redacted; `digest` is of what was sent). A message that nobody could read is one row, with all its bytes (`readable` is false).
CREATE TABLE IF NOT EXISTS dead_letters {{on_cluster}}
(
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    batch_id UUID,
    batch_index UInt32,
    dead_id UUID,
    event_id UUID,
    key_id LowCardinality(String),
    platform LowCardinality(String),
    event_type LowCardinality(String),
    event_name String CODEC(ZSTD),
    user_id Nullable(UUID),
    anonymous_id String CODEC(ZSTD),
    header String CODEC(ZSTD),
    raw_data String CODEC(ZSTD),
    raw_encoding LowCardinality(String),
    digest String CODEC(ZSTD),
    readable Bool,
    message_id String CODEC(ZSTD),
    queued_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    dead_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_name event_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_anonymous anonymous_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (received_at, batch_id, batch_index)
SETTINGS {{settings}};

-- How each of them stands. The version follows from the replay's generation and from what happened in it, not from a
-- clock, so that the same said twice changes nothing, and what is said late undoes nothing. `failed`: it is a failed
-- event of raw_events now. `tries` are all so far, `deaths` how often the broker gave it up.
CREATE TABLE IF NOT EXISTS dead_letter_states {{on_cluster}}
(
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    batch_id UUID,
    batch_index UInt32,
    key_id LowCardinality(String),
    state Enum8('dead' = 0, 'replaying' = 1, 'failed' = 2, 'resolved' = 3),
    tries UInt32,
    deaths UInt16,
    cause String CODEC(ZSTD),
    generation UInt64 CODEC(ZSTD),
    at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD),
    version UInt64 CODEC(ZSTD)
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (received_at, batch_id, batch_index)
SETTINGS {{settings}};

-- Replays as they were asked for, and whether an operator wants them to go on.
CREATE TABLE IF NOT EXISTS replays {{on_cluster}}
(
    replay_id UUID,
    generation UInt64,
    request String CODEC(ZSTD),
    matched UInt64,
    wanted Enum8('run' = 0, 'stop' = 1),
    created_at DateTime64(3, 'UTC'),
    changed_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY replay_id
SETTINGS {{settings}};

-- How far each came: a row a step, the last of which counts.
CREATE TABLE IF NOT EXISTS replay_progress {{on_cluster}}
(
    replay_id UUID,
    step UInt64,
    position String,
    sent UInt64,
    ended Bool,
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{replicated}}ReplacingMergeTree(step)
ORDER BY replay_id
SETTINGS {{settings}};

CREATE TABLE IF NOT EXISTS replay_leases {{on_cluster}}
(
    number UInt64,
    lease_id UUID,
    state Enum8('asking' = 0, 'held' = 1, 'released' = 2),
    expires_at DateTime64(3, 'UTC'),
    noted_at DateTime DEFAULT now()
)
ENGINE = {{engine}}
ORDER BY number
TTL noted_at + INTERVAL 2 DAY
SETTINGS {{settings}};
