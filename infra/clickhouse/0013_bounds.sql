-- What is noted is removed once it is computed, and not by its age: the batches may have been off for longer. The age only
-- bounds what nobody comes back for.
ALTER TABLE metric_touched {{on_cluster}} MODIFY TTL noted_at + INTERVAL 400 DAY;
