-- Who is to be forgotten, and whose events are refused from then on (docs/adr/0016-privacy.md).
-- An erasure and how far it came. It names nobody: `subject` is a hash.
CREATE TABLE IF NOT EXISTS erasures {{on_cluster}}
(
    erasure_id UUID,
    subject String,
    state Enum8('requested' = 0, 'removing' = 1, 'stitching' = 2, 'purging' = 3, 'done' = 4),
    requested_at DateTime64(9, 'UTC'),
    finished_at DateTime64(3, 'UTC'),
    before Map(LowCardinality(String), UInt64),
    after Map(LowCardinality(String), UInt64),
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY erasure_id
SETTINGS {{settings}};

-- By what the person is known while an erasure is at work; all of it goes with its end. Of a device the turns in which it
-- was the person's, from one place in the order of events to another. `text`: by which unreadable bytes are told.
CREATE TABLE IF NOT EXISTS erasure_subjects {{on_cluster}}
(
    erasure_id UUID,
    kind Enum8('user' = 0, 'device' = 1, 'identity' = 2, 'text' = 3, 'lost' = 4),
    name String,
    since Int64,
    since_id String,
    until Int64,
    until_id String
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (erasure_id, kind, name, since, since_id, until, until_id)
SETTINGS {{settings}};

-- The events that were removed, by id alone: what the ledger and an audit know of them, and in which batch.
CREATE TABLE IF NOT EXISTS erased_events {{on_cluster}}
(
    erasure_id UUID,
    place LowCardinality(String),
    event_id UUID,
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    batch_id UUID,
    batch_index UInt32,
    key_id LowCardinality(String),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (erasure_id, place, event_id)
SETTINGS {{settings}};

-- Rows of sessions that are to go, chosen before any of them goes.
CREATE TABLE IF NOT EXISTS erasure_sessions {{on_cluster}}
(
    erasure_id UUID,
    started_at DateTime64(9, 'UTC'),
    session_id UUID,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (erasure_id, started_at, session_id, version)
SETTINGS {{settings}};

-- Whose events are refused: hashes of a user, of a device in some turns, of another identity up to a time.
CREATE TABLE IF NOT EXISTS suppressions {{on_cluster}}
(
    kind Enum8('user' = 0, 'device' = 1, 'identity' = 2),
    subject String,
    since Int64,
    since_id String,
    until Int64,
    until_id String,
    erasure_id UUID,
    added_at DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (kind, subject, since, since_id, until, until_id)
SETTINGS {{settings}};

-- Events that are gone because their person is; metrics follow them however old they are.
ALTER TABLE touched {{on_cluster}}
    MODIFY COLUMN kind Enum8('block' = 0, 'links' = 1, 'events' = 2, 'erased' = 3) DEFAULT 'block';
