-- Rows of the ledger are never deleted one by one, and so need no numbers: where a request has one event these took a
-- tenth of the ledger. Parts lose them as they are merged.
ALTER TABLE ledger {{on_cluster}}
    MODIFY SETTING enable_block_number_column = 0, enable_block_offset_column = 0;
