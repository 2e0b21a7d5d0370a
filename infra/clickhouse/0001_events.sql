-- The events, as they came and as enrichment left them, and the ledger of every delivery.
-- The placeholders are rendered for one server or for a cluster (migrate.py).
CREATE TABLE IF NOT EXISTS raw_events {{on_cluster}}
(
    event_id UUID,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    original_timestamp String,
    platform LowCardinality(String),
    event_type LowCardinality(String),
    event_name String,
    session_id UUID,
    user_id Nullable(UUID),
    user_ref String,
    anonymous_id String,
    properties_text String DEFAULT '{}' CODEC(ZSTD),
    context_text String DEFAULT '{}' CODEC(ZSTD),
    properties JSON(max_dynamic_paths = 128) DEFAULT properties_text,
    context JSON(max_dynamic_paths = 64) DEFAULT context_text,
    raw_data String CODEC(ZSTD),
    raw_encoding LowCardinality(String),
    processed_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    processing_status Enum8('pending' = 0, 'processed' = 1, 'failed' = 2),
    error_message String,
    error_codes Array(LowCardinality(String)),
    flags Array(LowCardinality(String)),
    batch_id UUID,
    batch_index UInt32,
    batch_size UInt32,
    key_id LowCardinality(String),
    envelope_version UInt16,
    queued_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    attempt UInt16,
    digest String,
    attempt_id UUID,
    stored_at DateTime64(9, 'UTC') DEFAULT now64(9) CODEC(Delta, ZSTD),
    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_anonymous anonymous_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_batch batch_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_name event_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX values_of_properties JSONAllValues(properties) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX values_of_context JSONAllValues(context) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_stored stored_at TYPE minmax GRANULARITY 1,
    INDEX by_received received_at TYPE minmax GRANULARITY 1
)
ENGINE = {{engine}}
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, event_type, event_id)
SETTINGS merge_selector_base = 15, {{settings}};

CREATE TABLE IF NOT EXISTS processed_events {{on_cluster}}
(
    event_id UUID,
    raw_event_id UUID,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    original_timestamp String,
    processed_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    platform LowCardinality(String),
    event_type LowCardinality(String),
    event_name String,
    session_id UUID,
    user_id Nullable(UUID),
    user_ref String,
    anonymous_id String,
    properties_text String DEFAULT '{}' CODEC(ZSTD),
    context_text String DEFAULT '{}' CODEC(ZSTD),
    metrics_text String DEFAULT '{}' CODEC(ZSTD),
    properties JSON(max_dynamic_paths = 128) DEFAULT properties_text,
    context JSON(max_dynamic_paths = 64) DEFAULT context_text,
    metrics JSON(max_dynamic_paths = 32) DEFAULT metrics_text,
    ip String,
    network LowCardinality(String),
    geo_country LowCardinality(String),
    geo_region LowCardinality(String),
    geo_city LowCardinality(String),
    geo_latitude Nullable(Float64),
    geo_longitude Nullable(Float64),
    geo_timezone LowCardinality(String),
    browser_name LowCardinality(String),
    browser_version LowCardinality(String),
    os_name LowCardinality(String),
    os_version LowCardinality(String),
    device_family LowCardinality(String),
    device_brand LowCardinality(String),
    device_model LowCardinality(String),
    device_type LowCardinality(String),
    channel LowCardinality(String),
    source LowCardinality(String),
    medium LowCardinality(String),
    campaign LowCardinality(String),
    term String,
    content String,
    click_id String,
    referrer_domain LowCardinality(String),
    page_url String,
    page_host LowCardinality(String),
    page_path String,
    page_query String,
    page_title String,
    is_bot Bool,
    bot_reasons Array(LowCardinality(String)),
    timezone LowCardinality(String),
    local_hour Nullable(UInt8),
    local_weekday Nullable(UInt8),
    flags Array(LowCardinality(String)),
    batch_id UUID,
    batch_index UInt32,
    key_id LowCardinality(String),
    digest String,
    attempt_id UUID,
    stored_at DateTime64(9, 'UTC') DEFAULT now64(9) CODEC(Delta, ZSTD),
    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_anonymous anonymous_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_name event_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX values_of_properties JSONAllValues(properties) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX values_of_context JSONAllValues(context) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_stored stored_at TYPE minmax GRANULARITY 1
)
ENGINE = {{engine}}
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, event_type, event_id)
SETTINGS merge_selector_base = 15, {{settings}};

-- Every attempt to record a delivery, written before its rows. The key sorts as the text of the id does (a UUID column
-- would sort by its second half), so that the ids of a batch that were made in order lie together. Ids at random are
-- looked up one by one: small granules, each a block of its own that needs no unpacking. Partitions by year only serve
-- to keep the bounds of recorded_at of each part, by which a look for late claims passes over all old ones.
CREATE TABLE IF NOT EXISTS event_deliveries {{on_cluster}}
(
    event_id UUID,
    event_key FixedString(16) MATERIALIZED UUIDToNum(event_id) CODEC(NONE) SETTINGS (min_compress_block_size = 4096),
    failed Bool,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    digest String CODEC(ZSTD),
    attempt_id UUID,
    batch_id UUID,
    batch_index UInt32,
    key_id LowCardinality(String),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    recorded_at DateTime64(9, 'UTC') DEFAULT now64(9) CODEC(Delta, ZSTD),
    INDEX by_batch batch_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recorded recorded_at TYPE minmax GRANULARITY 1
)
ENGINE = {{engine}}
PARTITION BY toYear(recorded_at)
ORDER BY event_key
SETTINGS index_granularity = 256, {{settings}};
