-- A device that sends with live and with test keys is one in each environment: a link holds in that of its event.
ALTER TABLE identity_links {{on_cluster}}
    ADD COLUMN IF NOT EXISTS environment LowCardinality(String) DEFAULT 'live' AFTER anonymous_id;

-- So a device may be a person's in one environment and somebody else's in the other: a turn in the test one is a
-- `test_device`.
ALTER TABLE erasure_subjects {{on_cluster}} MODIFY COLUMN kind
    Enum8('user' = 0, 'device' = 1, 'identity' = 2, 'text' = 3, 'lost' = 4, 'test_device' = 5);
ALTER TABLE suppressions {{on_cluster}} MODIFY COLUMN kind
    Enum8('user' = 0, 'device' = 1, 'identity' = 2, 'test_device' = 3);
