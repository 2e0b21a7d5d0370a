"""Retention in SQL. Pure: a question in, a statement out."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.analytics_params import RetentionQuery
from functions.serve.filters import Bindings
from functions.serve.scope_sql import conditions
from functions.serve.statement import Statement

MAX_COHORTS = 400
_START = {"day": "toDate(timestamp, 'UTC')", "week": "toMonday(timestamp, 'UTC')"}
_DAYS = {"day": 1, "week": 7}


def retention(query: RetentionQuery) -> Statement:
    """A row a cohort and interval: the cohort's date, the number of the interval, visitors. The range is of cohorts."""
    bindings = Bindings()
    ever = " AND ".join(conditions(query.scope._replace(since=None, until=None), bindings))
    cohort = []
    if query.scope.since is not None:
        cohort.append(f"first >= {bindings.time(query.scope.since)}")
    if query.scope.until is not None:
        cohort.append(f"first < {bindings.time(query.scope.until)}")
    visitors = (
        f"SELECT min(timestamp) AS first, groupUniqArray({_START[query.interval]}) AS seen FROM session_events"
        f" WHERE {ever} GROUP BY visitor_hash{' HAVING ' + ' AND '.join(cohort) if cohort else ''}"
    )
    return Statement(
        "SELECT toString(cohort), number, count() FROM (SELECT arrayMin(seen) AS cohort,"
        f" intDiv(arrayJoin(seen) - cohort, {_DAYS[query.interval]}) AS number FROM ({visitors}))"
        f" GROUP BY cohort, number ORDER BY cohort DESC, number LIMIT {MAX_COHORTS * MAX_COHORTS}",
        bindings.values,
    )
