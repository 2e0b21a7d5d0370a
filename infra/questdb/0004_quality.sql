-- The name of an event, where that is what a metric is measured by.
ALTER TABLE metrics ADD COLUMN IF NOT EXISTS event_name SYMBOL CAPACITY 1024;
