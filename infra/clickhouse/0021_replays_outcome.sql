-- A page is noted before it is sent (`until`: its end, `planned`: what is sent after it), so that whoever goes on counts it as
-- it was. `settled`: all of a replay that has ended is recorded or given up. What came of it (events stored, failed, given up, and
-- those of which another delivery counts) is kept then: a later replay may take the same events.
ALTER TABLE replay_progress {{on_cluster}}
    ADD COLUMN IF NOT EXISTS until String,
    ADD COLUMN IF NOT EXISTS planned UInt64,
    ADD COLUMN IF NOT EXISTS settled Bool,
    ADD COLUMN IF NOT EXISTS outcome Array(UInt64);
