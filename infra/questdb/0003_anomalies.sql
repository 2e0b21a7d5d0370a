-- One row a judged window of a series: what was expected, how far off it was, and for how many windows in a row.
-- A window judged anew replaces its row; one that no longer exists is overwritten with state 'gone'.
CREATE TABLE IF NOT EXISTS anomalies (
    ts TIMESTAMP,
    metric_name SYMBOL CAPACITY 1024,
    interval SYMBOL CAPACITY 16,
    tags VARCHAR,
    tags_hash LONG,
    value DOUBLE,
    expected DOUBLE,
    lower DOUBLE,
    upper DOUBLE,
    score DOUBLE,
    severity SYMBOL CAPACITY 16,
    run_length INT,
    is_anomaly BOOLEAN,
    state SYMBOL CAPACITY 16,
    computed_at TIMESTAMP
) TIMESTAMP(ts) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts, metric_name, interval, tags_hash);
