-- One row a metric, window and group. A row sent again replaces the one before as a whole: an absent column is null then.
-- tags holds the group's full tag set as canonical JSON, the columns beside it repeat the main ones;
-- tags_hash stands for tags in the key. A group that vanished is overwritten with state 'gone' and no value.
CREATE TABLE IF NOT EXISTS metrics (
    ts TIMESTAMP,
    metric_name SYMBOL CAPACITY 1024,
    interval SYMBOL CAPACITY 16,
    environment SYMBOL CAPACITY 16,
    key_id SYMBOL CAPACITY 1024,
    platform SYMBOL CAPACITY 128,
    event_type SYMBOL CAPACITY 128,
    country SYMBOL CAPACITY 512,
    device_type SYMBOL CAPACITY 64,
    value DOUBLE,
    tags VARCHAR,
    tags_hash LONG,
    properties VARCHAR,
    state SYMBOL CAPACITY 16,
    computed_at TIMESTAMP
) TIMESTAMP(ts) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts, metric_name, interval, tags_hash);
