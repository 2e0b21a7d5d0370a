-- A merge of parts that lie behind each other costs as much as writing all their rows again, and saves readers next to
-- nothing: as with events, more parts are merged at once, and so fewer times.
ALTER TABLE session_event_rows {{on_cluster}} MODIFY SETTING merge_selector_base = 15;
ALTER TABLE session_rows {{on_cluster}} MODIFY SETTING merge_selector_base = 15;
