-- Visitors by number: sets of numbers that lie close together come together fifty times faster than sets of hashes, and
-- take a tenth of the room (docs/adr/0005-metrics.md). A visitor has one number, in whichever environment.
CREATE TABLE IF NOT EXISTS visitor_numbers {{on_cluster}}
(
    visitor_hash UInt64,
    number UInt64 CODEC(Delta, ZSTD)
)
ENGINE = {{engine}}
ORDER BY visitor_hash
SETTINGS {{settings}};

ALTER TABLE session_event_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS visitor_number UInt64 DEFAULT 0 CODEC(ZSTD) AFTER visitor_hash;
ALTER TABLE session_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS visitor_number UInt64 DEFAULT 0 CODEC(ZSTD) AFTER visitor_hash;
ALTER TABLE metric_states {{on_cluster}}
    ADD COLUMN IF NOT EXISTS numbers AggregateFunction(groupBitmap, UInt64) AFTER uniques;
