-- Minutes whose account did not balance when it should have: looked at again until it does, then `unaccounted` is 0.
CREATE TABLE IF NOT EXISTS ledger_checks {{on_cluster}}
(
    minute DateTime('UTC'),
    key_id LowCardinality(String),
    unaccounted UInt64,
    in_flight UInt64,
    checked_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (minute, key_id)
TTL minute + INTERVAL 30 DAY
SETTINGS {{settings}};
