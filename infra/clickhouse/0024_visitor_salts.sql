-- The salts that visitors without a cookie are told by, one a day (docs/adr/0020-consent.md). Made by whoever needs it
-- first, under a token of the day, so that there is one; gone two days after the day began, from the disk as well.
CREATE TABLE IF NOT EXISTS visitor_salts {{on_cluster}}
(
    day Date,
    salt String CODEC(NONE),
    made_at DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = {{engine}}
PARTITION BY day
ORDER BY day
TTL toDateTime(day, 'UTC') + toIntervalDay(2)
SETTINGS {{settings}}, ttl_only_drop_parts = 1, merge_with_ttl_timeout = 30;
