"""The first session of each visitor, kept up to date for the visitors whose sessions changed."""
# ruff: noqa: S608  the SQL is put together from our own names

_WITHIN = (
    "started_at >= toDateTime64({since:Int64}, 9, 'UTC') AND started_at < toDateTime64({until:Int64}, 9, 'UTC')"
    " AND toStartOfTenMinutes(toDateTime(started_at, 'UTC')) IN"
    " (SELECT block FROM metric_touched WHERE batch > {after:UInt64})"
)
# Whoever began a session in what is touched, and whoever's first session was there: it may have moved or vanished.
_CANDIDATES = (
    f"SELECT visitor FROM sessions WHERE {_WITHIN} UNION DISTINCT SELECT visitor FROM visitor_firsts WHERE {_WITHIN}"
)
_VALUES = "started_at, platform, country, device_type"
_FRESH = (
    "SELECT environment, visitor, first.1 AS started_at, first.2 AS platform, first.3 AS country,"
    " first.4 AS device_type FROM (SELECT environment, visitor,"
    " argMin((started_at, toString(platforms[1]), toString(country), toString(device_type)),"
    " (started_at, toString(session_id))) AS first"
    f" FROM sessions WHERE NOT is_bot AND visitor IN ({_CANDIDATES}) GROUP BY environment, visitor)"
)
_KNOWN = (
    "SELECT environment, visitor, started_at, platform, country, device_type, gone, before, version"
    f" FROM visitor_first_rows FINAL WHERE visitor IN ({_CANDIDATES})"
)


def keep() -> str:
    """Keep the first sessions that are others now, each with where it was before; or that there is none any more.

    `before` grows until a batch is merged, so that nothing of one that died is forgotten.
    Parameters: since, until, after, batch.
    """
    same = "f.started_at = k.started_at AND f.platform = k.platform AND f.country = k.country"
    return (
        f"INSERT INTO visitor_first_rows (environment, visitor, {_VALUES}, gone, before, version)"
        " SELECT environment, visitor, if(f.there, f.started_at, k.started_at), if(f.there, f.platform, k.platform),"
        " if(f.there, f.country, k.country), if(f.there, f.device_type, k.device_type), NOT f.there,"
        " arrayConcat(if(k.version > {after:UInt64}, k.before, []),"
        " if(k.there AND NOT k.gone, [toDateTime(k.started_at, 'UTC')], [])), {batch:UInt64}"
        f" FROM (SELECT *, true AS there FROM ({_FRESH})) AS f FULL JOIN (SELECT *, true AS there FROM ({_KNOWN})) AS k"
        f" USING (environment, visitor) WHERE if(f.there, NOT k.there OR k.gone OR NOT ({same}"
        " AND f.device_type = k.device_type), NOT k.gone)"
    )


def note_blocks() -> str:
    """Note the blocks in which a first session came or went since the last batch merged. Parameters: after, batch."""
    moments = "arrayPushBack(before, toDateTime(started_at, 'UTC'))"
    return (
        f"INSERT INTO metric_touched (batch, block) SELECT {{batch:UInt64}} AS batch, block FROM (SELECT DISTINCT"
        f" toStartOfTenMinutes(arrayJoin({moments})) AS block FROM visitor_first_rows WHERE version > {{after:UInt64}})"
    )
