-- What recording tells the batches is by attempt (docs/adr/0007-sessions.md): in which minutes the attempt has rows (also
-- of failed events), and of which events another attempt stored or removed a row. The identities are read from the rows.
-- Or it is what an operator wants computed anew: from the first of two minutes to the second, links before events.
ALTER TABLE touched {{on_cluster}} DROP COLUMN IF EXISTS identities;
ALTER TABLE touched {{on_cluster}} MODIFY COLUMN events UInt64;
ALTER TABLE touched {{on_cluster}}
    ADD COLUMN IF NOT EXISTS kind Enum8('block' = 0, 'links' = 1, 'events' = 2) DEFAULT 'block' AFTER events;

-- `identity_links` has, of the events that name both a device and a user, in order, those where the user is another than
-- before. A row of a session's event says by which device it came, so that a link is found to its events.
ALTER TABLE session_event_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS identity_hash UInt64 DEFAULT cityHash64(identity) AFTER identity;
ALTER TABLE session_event_rows {{on_cluster}}
    ADD COLUMN IF NOT EXISTS anonymous_id String CODEC(ZSTD) AFTER identity_hash;

CREATE OR REPLACE VIEW session_events {{on_cluster}} AS
SELECT timestamp, event_id, identity, anonymous_id, visitor, visitor_hash, session_id, client_session_id, key_id,
    environment, platform, event_type, event_name, country, device_type, browser, os, campaign, referrer, page_path, is_bot,
    content, version
FROM session_event_rows FINAL;
