-- Which attempts told of themselves: rows of theirs count, and where they only came they are added to what is measured
-- (docs/adr/0005-metrics.md). `came`: it was told of once, and none of its events had rivals.
CREATE TABLE IF NOT EXISTS told_attempts {{on_cluster}}
(
    attempt_id UUID,
    minutes Array(DateTime('UTC')) CODEC(ZSTD),
    came Bool,
    batch UInt64 CODEC(Delta, ZSTD),
    noted_at DateTime('UTC') DEFAULT now()
)
ENGINE = {{engine}}
ORDER BY attempt_id
TTL noted_at + INTERVAL 2 DAY
SETTINGS {{settings}};

-- `told`: events as they came are there that were not before, and nothing else of them changed.
ALTER TABLE metric_touched {{on_cluster}} MODIFY COLUMN
    concerns Enum8('all' = 0, 'arrived' = 1, 'visitors' = 2, 'sessions' = 3, 'firsts' = 4, 'came' = 5, 'told' = 6)
    DEFAULT 'all';

-- Whether a merge counted rows by who told of them: one of an older version counted all.
ALTER TABLE metric_progress {{on_cluster}} ADD COLUMN IF NOT EXISTS remembers Bool DEFAULT false AFTER planned;

-- What is newer than a merge lies in few places.
ALTER TABLE session_event_rows {{on_cluster}} ADD INDEX IF NOT EXISTS by_version version TYPE minmax GRANULARITY 1;
