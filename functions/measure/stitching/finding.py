"""Finds the events that changed, as they are and as they were."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure import attempts
from functions.measure.stitching.fragments import IN_RANGE, KEY, TOLD, UNFINISHED, apart
from functions.measure.stitching.scratch import PAYLOAD
from functions.shared.domain import environments

_SOURCES = {
    "client_session_id": "session_id",
    "environment": environments.SQL,
    "country": "geo_country",
    "browser": "browser_name",
    "os": "os_name",
    "referrer": "ifNull(context.page.referrer::Nullable(String), '')",
}
_IN_MINUTES = "toStartOfMinute(timestamp) IN (SELECT minute FROM stitch_minutes)"
_CONTESTED = "event_id IN (SELECT event_id FROM stitch_contested)"


def look(touches: str) -> tuple[str, ...]:
    """Where to look, from the touches that a condition in SQL is of. What an attempt told more than once is as one."""
    chosen = f"FROM touched WHERE {touches}"
    return (
        f"INSERT INTO stitch_minutes SELECT DISTINCT arrayJoin(minutes) {chosen}",
        # That they are not old is looked at where their rows are, as nobody knows how long an attempt was halted.
        "INSERT INTO stitch_attempts SELECT attempt_id, told, first AND attempt_id NOT IN"
        f" ({attempts.of_old_rows(_IN_MINUTES)}) FROM (SELECT attempt_id, groupUniqArrayArray(minutes) AS told,"
        f" min({attempts.IS_FIRST}) AS first {chosen} GROUP BY attempt_id)",
        f"INSERT INTO stitch_contested SELECT DISTINCT arrayJoin(event_ids) {chosen}",
    )


def told(contested: bool) -> str:
    """The attempts that told; and those whose rows are of events that others told of, where there are ``contested``."""
    themselves = "SELECT attempt_id, minutes, came FROM stitch_attempts"
    within = f"{_IN_MINUTES} AND {_CONTESTED} AND attempt_id NOT IN (SELECT attempt_id FROM stitch_attempts)"
    return f"{themselves} UNION ALL {attempts.of_rows(within)}" if contested else themselves


def find_fresh(whole: bool) -> str:
    """The events that touches tell of, as they are now; or of a whole range all."""
    theirs = "attempt_id IN (SELECT attempt_id FROM stitch_attempts)"
    where = IN_RANGE if whole else f"{_IN_MINUTES} AND ({theirs} OR {_CONTESTED})"
    told = ", ".join(_SOURCES.get(name, name) for name in PAYLOAD)
    return (
        f"INSERT INTO stitch_fresh ({KEY}, {TOLD}, fresh_content) SELECT {KEY}, {told}, cityHash64({told})"
        # Without an identity an event is of nobody: a person refused.
        f" FROM processed_events WHERE {where} AND identity != ''"
    )


def count_twins() -> str:
    """How many of them are there more than once: attempts that met at this moment. Looked at, since it is so seldom.

    By a hash: two of one make it too many, and cost but time.
    """
    return f"SELECT count() - uniqExact(cityHash64({KEY})) FROM stitch_fresh"


def drop_twins() -> str:
    """Keep one of each."""
    return f"CREATE OR REPLACE TABLE stitch_fresh ENGINE = Memory AS SELECT * FROM stitch_fresh LIMIT 1 BY {KEY}"


def find(whole: bool) -> str:
    """Those of them that are others than they were when they were stitched, of a whole range all; and those gone."""
    if whole:
        chosen = f"PREWHERE {IN_RANGE}"
    else:
        keys = (
            f"SELECT {KEY} FROM stitch_fresh UNION ALL"
            f" SELECT {KEY} FROM session_event_rows WHERE {_IN_MINUTES} AND {_CONTESTED}"
        )
        # By their time alone first, which is a number, and what the table is sorted by.
        chosen = f"PREWHERE timestamp IN (SELECT timestamp FROM ({keys})) WHERE ({KEY}) IN ({keys})"
    stood = (
        f"SELECT {KEY}, {apart('visitor')} AS visitor, session_id, content AS stood_content, made, visitor_number,"
        " environment AS stood_environment, identity AS stood_identity, anonymous_id AS stood_anonymous_id,"
        f" true AS stood FROM session_event_rows FINAL {chosen}"
    )
    changed = "true" if whole else "there != stood OR fresh_content != stood_content"
    return (
        f"INSERT INTO stitch_found ({KEY}, {TOLD}, content, gone, direct, old_visitor, old_session_id,"
        f" old_content, old_made, old_number, old_environment, old_identity, old_anonymous_id)"
        f" SELECT {KEY}, {TOLD}, fresh_content,"
        " NOT there, true, visitor, session_id, stood_content, made, visitor_number, stood_environment,"
        " stood_identity, stood_anonymous_id"
        " FROM (SELECT *, true AS there FROM stitch_fresh) AS f"
        f" FULL JOIN ({stood}) AS o USING ({KEY}) WHERE {changed}"
    )


def find_of_relinked() -> str:
    """All other events of devices whose links may have changed."""
    hashes = "SELECT cityHash64(concat('a:', anonymous_id)) FROM stitch_relinked"
    exact = "SELECT concat('a:', anonymous_id) FROM stitch_relinked"
    return _find_more(f"identity_hash IN ({hashes})", f"identity IN ({exact})")


def find_of_merged() -> str:
    """All other events of visitors that go by another name now, or went by one."""
    hashes = "SELECT cityHash64(visitor) FROM stitch_renamed"
    return _find_more(f"visitor_hash IN ({hashes})", "visitor IN (SELECT visitor FROM stitch_renamed)")


def find_of_unfinished() -> str:
    """All other events that a step which did not come to its end had written."""
    return _find_more(UNFINISHED, UNFINISHED)


def _find_more(roughly: str, exact: str) -> str:
    # By what is fast to look for and without regard for versions first: so only rows at these times are read in full.
    near = f"SELECT timestamp FROM session_event_rows WHERE {roughly}"
    return (
        f"INSERT INTO stitch_found ({KEY}, {TOLD}, content, gone, direct, old_visitor, old_session_id,"
        f" old_content, old_made, old_number, old_environment, old_identity, old_anonymous_id)"
        f" SELECT {KEY}, {TOLD}, content,"
        f" false, false, {apart('visitor')}, session_id,"
        " content, made, visitor_number, environment, identity, anonymous_id FROM session_event_rows FINAL"
        f" PREWHERE timestamp IN ({near}) WHERE {exact} AND ({KEY}) NOT IN (SELECT {KEY} FROM stitch_found)"
    )
