-- To merge stitched rows costs six microseconds a row, as much as all else that a tick does with them: as with events, more
-- parts are merged at once, and so fewer times (docs/adr/0007-sessions.md).
ALTER TABLE session_event_rows {{on_cluster}} MODIFY SETTING merge_selector_base = 15;
ALTER TABLE session_rows {{on_cluster}} MODIFY SETTING merge_selector_base = 15;
