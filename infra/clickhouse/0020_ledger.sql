-- What each stage witnessed of a part of a batch (docs/adr/0014-ledger.md). A row is as good as two of the same: what is
-- read of it are maxima by part and unions of places, so nothing here ever has to be updated or removed.
--   tally       the broker holds the part: so many events. `dropped`: what collect took no further, by reason
--   outcome     enrich recorded the part, in one attempt
--   correction  a better delivery took the place of some events of the request, or a replay mended them
--   erased      some events of the request were removed on purpose
-- The lists hold places in the batch, as `batch_index` does.
CREATE TABLE IF NOT EXISTS ledger {{on_cluster}}
(
    minute DateTime('UTC') CODEC(Delta, ZSTD),
    key_id LowCardinality(String),
    batch_id UUID,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    first_index UInt32,
    kind Enum8('tally' = 1, 'outcome' = 2, 'correction' = 3, 'erased' = 4),
    events UInt32,
    failed Array(UInt32),
    superseded Array(UInt32),
    mended Array(UInt32),
    erased Array(UInt32),
    dropped Map(LowCardinality(String), UInt32),
    attempt UInt16,
    attempt_id UUID CODEC(ZSTD),
    queued_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    host LowCardinality(String),
    request_id String CODEC(ZSTD),
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD),
    INDEX by_batch batch_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{engine}}
PARTITION BY toYYYYMMDD(minute)
ORDER BY (minute, key_id, batch_id, received_at, first_index, kind)
TTL minute + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, {{settings}};
