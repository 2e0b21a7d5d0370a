-- What a change concerns, so that no more is computed anew: `arrived` what is measured of events as they came and of those
-- stitched, `visitors` the stitched events alone, `sessions` the sessions, `firsts` the first sessions of visitors.
ALTER TABLE metric_touched {{on_cluster}} ADD COLUMN IF NOT EXISTS
    concerns Enum8('all' = 0, 'arrived' = 1, 'visitors' = 2, 'sessions' = 3, 'firsts' = 4) DEFAULT 'all' AFTER block;
