-- What metrics are computed from, kept so that it can be merged: a row a window, source, slot and group. Minutes and blocks
-- of ten are computed from the rows of their source, hours are merged from blocks, days from hours. The newest version of a key
-- stands; a group that vanished has a newest row that is gone. `ever` names what its key was ever measured by, so that
-- what was once told of it can be told to be gone. A slot holds the additive measures of its source (six decimals),
-- or one distribution. What is read from a distribution stands beside it; itself is kept only where it will be merged.
CREATE TABLE IF NOT EXISTS metric_states {{on_cluster}}
(
    step LowCardinality(String),
    window DateTime('UTC') CODEC(Delta, ZSTD),
    source LowCardinality(String),
    slot LowCardinality(String),
    environment LowCardinality(String),
    cut LowCardinality(String),
    tags String,
    sums Map(LowCardinality(String), Int128),
    uniques AggregateFunction(uniqExact, UInt64),
    amounts AggregateFunction(quantilesExactWeighted(0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999), Float64, UInt64),
    different UInt64,
    levels Array(Float64),
    ever Array(LowCardinality(String)),
    digest UInt64,
    gone Bool,
    version UInt64 CODEC(Delta, ZSTD),
    INDEX by_version version TYPE minmax GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window)
ORDER BY (step, window, source, slot, environment, cut, tags)
-- States are large, and few of them are read at once.
SETTINGS index_granularity = 64, {{settings}};

-- The blocks of ten minutes that a batch computes anew, noted before it begins: one that died is finished by the next.
CREATE TABLE IF NOT EXISTS metric_touched {{on_cluster}}
(
    batch UInt64,
    block DateTime('UTC'),
    noted_at DateTime('UTC') DEFAULT now()
)
ENGINE = {{engine}}
ORDER BY (batch, block)
TTL noted_at + INTERVAL 7 DAY
SETTINGS {{settings}};

-- How far the batches came: `merged` when all states of a batch and all before stand, `exported` when what they changed
-- was written to the time-series store.
CREATE TABLE IF NOT EXISTS metric_progress {{on_cluster}}
(
    stage LowCardinality(String),
    batch UInt64,
    reached_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{engine}}
ORDER BY (stage, batch)
SETTINGS {{settings}};

-- The first session of each visitor that is no bot, as last computed; the newest version stands.
CREATE TABLE IF NOT EXISTS visitor_first_rows {{on_cluster}}
(
    environment LowCardinality(String),
    visitor String,
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    platform LowCardinality(String),
    country LowCardinality(String),
    device_type LowCardinality(String),
    gone Bool,
    before Array(DateTime('UTC')),
    version UInt64 CODEC(Delta, ZSTD),
    INDEX by_version version TYPE minmax GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (environment, visitor)
SETTINGS {{settings}};

CREATE VIEW IF NOT EXISTS visitor_firsts {{on_cluster}} AS
SELECT environment, visitor, started_at, platform, country, device_type FROM visitor_first_rows FINAL WHERE NOT gone;
