-- What the time-series store may hold older than it is, since somebody wrote there who had lost the turn meanwhile: what
-- was told after this version (sessions), batch (metrics) or time (anomalies) is told once more (docs/adr/0004-series-store.md).
CREATE TABLE IF NOT EXISTS export_doubts {{on_cluster}}
(
    doubt_id UUID,
    series LowCardinality(String),
    after UInt64
)
ENGINE = {{engine}}
ORDER BY doubt_id
SETTINGS {{settings}};
