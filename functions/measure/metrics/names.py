"""Which names of events are told apart where events are counted by name: few, so that clients cannot make series."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.shared.domain.environments import SQL as ENVIRONMENT

MOST_NAMES = 40


def track(noted: str, counts: str) -> str:
    """Take up the names that are seen for the first time while there is room, the commonest first.

    A name that was once passed over stays one of the others: there is no room any more, and none comes back. So no
    window was computed without a name that is told apart. ``noted``: a query of blocks of ten minutes; ``counts``:
    which rows of these.
    """
    known = "SELECT environment, event_name FROM tracked_event_names"
    counted = (
        f"SELECT {ENVIRONMENT} AS environment, event_name, count() AS events FROM raw_events WHERE"
        " timestamp >= toDateTime64({since:Int64}, 9, 'UTC') AND timestamp < toDateTime64({until:Int64}, 9, 'UTC')"
        f" AND toStartOfTenMinutes(toDateTime(timestamp, 'UTC')) IN ({noted}) AND {counts}"
        " GROUP BY environment, event_name"
    )
    seen = f"SELECT * FROM ({counted}) WHERE event_name != '' AND (environment, event_name) NOT IN ({known})"
    ranked = (
        "SELECT environment, event_name,"
        " row_number() OVER (PARTITION BY environment ORDER BY events DESC, event_name) AS place"
        f" FROM ({seen})"
    )
    taken = f"SELECT environment, uniqExact(event_name) AS taken FROM ({known}) GROUP BY environment"
    return (
        "INSERT INTO tracked_event_names (environment, event_name) SELECT environment, event_name"
        f" FROM ({ranked}) AS r LEFT JOIN ({taken}) AS t USING (environment) WHERE place + taken <= {MOST_NAMES}"
    )
