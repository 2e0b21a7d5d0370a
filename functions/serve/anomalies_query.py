"""Questions to the time-series store about anomalies."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.analytics_params import AnomaliesQuery
from functions.shared.ports import Instant

COLUMNS = (
    "ts", "metric_name", "interval", "tags", "value", "expected", "lower", "upper", "score", "severity", "run_length",
    "computed_at",
)  # fmt: skip


def anomalies(query: AnomaliesQuery) -> tuple[str, list[object]]:
    """SQL and its values: the anomalies of a range, the newest first, and one more."""
    # The tags are canonical JSON, and inside a value of theirs the quotation marks would be escaped.
    where = ["state = 'live'", "is_anomaly = true", "tags LIKE %s"]
    values: list[object] = [f'%"environment":"{query.environment}"%']
    if query.since is not None:
        where.append("ts >= %s")
        values.append(Instant(query.since))
    if query.until is not None:
        where.append("ts < %s")
        values.append(Instant(query.until))
    if query.metrics:
        where.append(f"metric_name IN ({', '.join('%s' for _ in query.metrics)})")
        values += query.metrics
    if query.interval is not None:
        where.append("interval = %s")
        values.append(query.interval)
    columns = ", ".join(COLUMNS)
    return (
        f"SELECT {columns} FROM anomalies WHERE {' AND '.join(where)}"
        f" ORDER BY ts DESC, metric_name, interval, tags LIMIT {query.limit + 1}",
        values,
    )
