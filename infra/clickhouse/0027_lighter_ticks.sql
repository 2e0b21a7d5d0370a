-- Events that only came are added to what is measured, and their blocks not read again (docs/adr/0005-metrics.md).
-- `made`: the version that made an event what it counts for, its visitor and what it told. Where only its session is
-- another in a later one, it stays.
ALTER TABLE session_event_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS made UInt64 DEFAULT version CODEC(Delta, ZSTD) AFTER gone;

-- `came`: stitched events are there that were not before, and nothing else of them changed.
ALTER TABLE metric_touched {{on_cluster}} MODIFY COLUMN
    concerns Enum8('all' = 0, 'arrived' = 1, 'visitors' = 2, 'sessions' = 3, 'firsts' = 4, 'came' = 5, 'told' = 6)
    DEFAULT 'all';

-- Up to which version of visitors and sessions a merge took what changed: the next one takes what is of later ones. By
-- which definitions it measured, and the first merge since when these hold: what is older is not added to.
ALTER TABLE metric_progress {{on_cluster}}
    ADD COLUMN IF NOT EXISTS stitched UInt64 DEFAULT 0 AFTER batch,
    ADD COLUMN IF NOT EXISTS plan UInt64 DEFAULT 0 AFTER stitched,
    ADD COLUMN IF NOT EXISTS planned UInt64 DEFAULT 0 AFTER plan;

-- A distribution in which nearly every value is another, in order.
ALTER TABLE metric_states {{on_cluster}}
    ADD COLUMN IF NOT EXISTS values Array(Float64) CODEC(ZSTD) AFTER amounts;

-- Whose first session it is as a number, which is faster to look through.
ALTER TABLE visitor_first_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS visitor_hash UInt64 DEFAULT cityHash64(visitor) AFTER visitor;
