-- Who runs the batches: a row a step of a lease. The newest row of each lease holds; the newest of all that was held
-- says who may write. `number` also is the version of what is written, and grows from row to row, whatever the clock does.
CREATE TABLE IF NOT EXISTS measure_leases {{on_cluster}}
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

-- What each run of the batches did; one that died has a row that says `running`.
CREATE TABLE IF NOT EXISTS measure_runs {{on_cluster}}
(
    run_id UUID,
    kind LowCardinality(String),
    state Enum8('running' = 0, 'done' = 1, 'unfinished' = 2, 'failed' = 3),
    began_at DateTime64(3, 'UTC'),
    ended_at DateTime64(3, 'UTC'),
    counts Map(LowCardinality(String), Int64),
    step_ms Map(LowCardinality(String), Float64),
    detail String,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (began_at, run_id)
TTL toDateTime(began_at) + INTERVAL 90 DAY
SETTINGS {{settings}};

-- How far each follower has come: what it has told of, by version.
CREATE TABLE IF NOT EXISTS measure_progress {{on_cluster}}
(
    stage LowCardinality(String),
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY stage
SETTINGS {{settings}};
