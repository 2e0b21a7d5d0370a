-- The names of events that are told apart where events are counted by name; all others are one. Few an environment, and
-- a name is taken up when it is first seen or never: so what was computed before has none of it (docs/adr/0009-quality.md).
CREATE TABLE IF NOT EXISTS tracked_event_names {{on_cluster}}
(
    environment LowCardinality(String),
    event_name String,
    tracked_at DateTime('UTC') DEFAULT now()
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (environment, event_name)
SETTINGS {{settings}};

-- How far the series of a metric are judged: all windows that begin before `until` are, as the metrics were at `batch`.
CREATE TABLE IF NOT EXISTS judged {{on_cluster}}
(
    metric_name LowCardinality(String),
    interval LowCardinality(String),
    batch UInt64,
    until Int64,
    version UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (metric_name, interval)
SETTINGS {{settings}};
