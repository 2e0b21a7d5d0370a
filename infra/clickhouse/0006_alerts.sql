-- What became of alerts: a row a change, numbered from 1 in each alert; the one of the highest number is how it stands.
-- What is to be told is a row with `told` in here before it is sent, and its `change_id` is the same however often that is.
CREATE TABLE IF NOT EXISTS alert_changes {{on_cluster}}
(
    alert_id UUID,
    number UInt64,
    change_id UUID,
    event LowCardinality(String),
    state LowCardinality(String),
    told Bool,
    silence_id String,
    rule LowCardinality(String),
    tags String,
    severity LowCardinality(String),
    summary String,
    condition String,
    routes Array(LowCardinality(String)),
    value Nullable(Float64),
    since Int64,
    fired_at Int64,
    told_at Int64,
    changed_at DateTime64(3, 'UTC')
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (alert_id, number)
TTL toDateTime(changed_at) + INTERVAL 90 DAY
SETTINGS {{settings}};

-- What came of telling it, by route: sent, failed (and tried again), or given up.
CREATE TABLE IF NOT EXISTS alert_deliveries {{on_cluster}}
(
    change_id UUID,
    route LowCardinality(String),
    state LowCardinality(String),
    tries UInt32,
    detail String,
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (change_id, route)
TTL toDateTime(noted_at) + INTERVAL 90 DAY
SETTINGS {{settings}};

-- Until when nobody is to be told of some alerts, who said so, and why. One that was ended early has `until` of then.
CREATE TABLE IF NOT EXISTS alert_silences {{on_cluster}}
(
    silence_id UUID,
    rule String,
    tags String,
    since Int64,
    until Int64,
    said_by String,
    reason String,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY silence_id
SETTINGS {{settings}};
