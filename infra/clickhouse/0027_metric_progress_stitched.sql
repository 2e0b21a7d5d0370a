-- Up to which version of visitors and sessions a merge took what changed: sessions of later ones are compared by the next.
ALTER TABLE metric_progress {{on_cluster}} ADD COLUMN IF NOT EXISTS stitched UInt64 DEFAULT 0 AFTER batch;
