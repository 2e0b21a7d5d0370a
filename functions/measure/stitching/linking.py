"""Finds by which device whose events came: the links, and what becomes of them."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.stitching.fragments import (
    DEVICE,
    FENCE,
    IN_RANGE,
    IS_LINK,
    KEY,
    POSITION,
    TEXT_ORDER,
    UNFINISHED,
    USER,
)
from functions.shared.domain import environments


def and_before(links: str) -> str:
    """Links, and for each device one more before them all: what comes before the first link is of its user."""
    return (
        "SELECT device, one.1 AS position, one.2 AS user_id FROM (SELECT device, arraySort(groupArray((position,"
        " user_id))) AS known, arrayJoin(arrayPushFront(known, (toUInt256(0), known[1].2))) AS one"
        f" FROM ({links}) GROUP BY device)"
    )


def relink() -> str:
    """The devices whose links may have changed, in whichever environment."""
    standing = (
        f"SELECT {DEVICE} AS device, {POSITION} AS position, user_id FROM identity_links FINAL"
        f" WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_found WHERE {IS_LINK})"
    )
    fresh = (
        f"SELECT anonymous_id, {DEVICE} AS device, {POSITION} AS at, {USER} AS by FROM stitch_found"
        f" WHERE NOT gone AND {IS_LINK}"
    )
    return (
        "INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM ("
        f" SELECT f.anonymous_id AS anonymous_id FROM ({fresh}) AS f ASOF LEFT JOIN ({and_before(standing)}) AS l"
        " ON f.device = l.device AND f.at >= l.position WHERE f.by != l.user_id"
        " UNION ALL SELECT old_anonymous_id FROM stitch_found WHERE startsWith(old_identity, 'u:')"
        " AND old_anonymous_id != '' AND (gone OR (environment, identity, anonymous_id) !="
        " (old_environment, old_identity, old_anonymous_id)))"
    )


def relink_unfinished() -> str:
    """The devices of which such a step had written links."""
    return f"INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM identity_links WHERE {UNFINISHED}"


def relink_range() -> str:
    """The devices that a range tells or told of."""
    return (
        "INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM (SELECT anonymous_id FROM processed_events"
        f" WHERE {IN_RANGE} AND user_id IS NOT NULL AND anonymous_id != ''"
        f" UNION ALL SELECT anonymous_id FROM identity_links FINAL WHERE {IN_RANGE})"
    )


def count_linked_before() -> str:
    """How many of those had links before."""
    return "SELECT count() FROM identity_links FINAL WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"


def links_of_changes(linked_before: bool) -> str:
    """All links of the devices in question; those that had none have only what is new."""
    fresh = (
        f"SELECT environment, anonymous_id, {KEY}, {USER} AS user_id FROM stitch_found WHERE NOT gone AND {IS_LINK}"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    )
    stood = (
        f"SELECT environment, anonymous_id, {KEY}, {USER} AS user_id FROM session_event_rows FINAL WHERE {IS_LINK}"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
        f" AND ({KEY}) NOT IN (SELECT {KEY} FROM stitch_found)"
    )
    return _turns(f"{fresh} UNION ALL {stood}" if linked_before else fresh)


def links_of_range() -> tuple[str, str]:
    """All links they ever had. Most devices have one user; the others are put in order."""
    environment = f"{environments.SQL} AS environment"
    chosen = (
        "FROM processed_events WHERE user_id IS NOT NULL AND anonymous_id != ''"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    )
    by_device = "GROUP BY environment, anonymous_id HAVING min(user_id)"
    one = (
        "INSERT INTO stitch_links (environment, anonymous_id, timestamp, event_id, user_id)"
        f" SELECT {environment}, anonymous_id, argMin(timestamp, {POSITION}), argMin(event_id, {POSITION}),"
        f" assumeNotNull(any(user_id)) {chosen} {by_device} = max(user_id)"
    )
    shared = f"SELECT {environment}, anonymous_id {chosen} {by_device} != max(user_id)"
    # Not by its own name: the condition would then be about the value that takes the place of null.
    several = (
        f"SELECT environment, anonymous_id, {KEY}, user AS user_id FROM (SELECT {environment}, anonymous_id, {KEY},"
        f" assumeNotNull(user_id) AS user {chosen} AND (environment, anonymous_id) IN ({shared}))"
    )
    return one, _turns(several)


def _turns(links: str) -> str:
    """Of links in order, those where the user is another than before."""
    key = f"environment, anonymous_id, {KEY}, user_id"
    return (
        f"INSERT INTO stitch_links ({key}) SELECT {key} FROM"
        f" (SELECT {key}, lagInFrame(user_id) OVER (PARTITION BY environment, anonymous_id"
        f" ORDER BY timestamp, {TEXT_ORDER} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before FROM ({links}))"
        " WHERE user_id != before"
    )


def keep_links() -> str:
    """Keep the links that are new, and that some are no more."""
    key = f"environment, anonymous_id, {KEY}, user_id"
    relinked = "anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    standing = f"SELECT {key} FROM identity_links FINAL WHERE {relinked}"
    return (
        f"INSERT INTO identity_links ({key}, gone, version) SELECT {key}, gone, {{version:UInt64}} FROM ("
        f"SELECT {key}, 0 AS gone FROM stitch_links WHERE ({key}) NOT IN ({standing}) UNION ALL"
        f" SELECT {key}, 1 AS gone FROM ({standing}) WHERE (anonymous_id, {KEY}) NOT IN"
        f" (SELECT anonymous_id, {KEY} FROM stitch_links)) WHERE {FENCE}"
    )
