-- What tells whether events within a session may be added to it: the time (nanoseconds) of the last event that decided what
-- the session tells of its first ones, and of its last page view (0 without one). A session of before is never added to so.
ALTER TABLE session_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS settled_at Int64 DEFAULT 9223372036854775807 CODEC(Delta, ZSTD) AFTER after_gap,
    ADD COLUMN IF NOT EXISTS viewed_at Int64 DEFAULT 0 CODEC(Delta, ZSTD) AFTER settled_at;
