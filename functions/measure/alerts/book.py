"""The book of alerts in the store: how each stands, what changed, what was told by which route, and the silences.

A change is one row, and how an alert stands is its last row: so what happened and what is to be told of it are written
at once or not at all.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from functions.measure.alerts.machine import OK, Alert
from functions.measure.alerts.silences import Silence
from functions.measure.database import Database
from functions.shared.domain.instants import MILLISECOND
from functions.shared.errors import NotFound

# A statement's values travel in the request's line, in which a byte may take three, and which is bounded.
_BYTES_AT_A_TIME = 12_000
_MOST_DUE = 200


class Standing(NamedTuple):
    """How an alert stands, and what was last written of it."""

    alert_id: str
    rule: str
    tags: dict[str, str]
    number: int
    alert: Alert
    severity: str
    summary: str
    condition: str
    routes: tuple[str, ...]
    value: float | None
    silence_id: str
    changed_at: int


class Entry(NamedTuple):
    """A change, as it is written and as it is read again. ``changed_at`` is nanoseconds, whole milliseconds of them."""

    alert_id: str
    number: int
    change_id: str
    event: str
    state: str
    told: bool
    silence_id: str
    rule: str
    tags: Mapping[str, str]
    severity: str
    summary: str
    condition: str
    routes: Sequence[str]
    value: float | None
    since: int
    fired_at: int
    told_at: int
    changed_at: int


class Due(NamedTuple):
    """What is to be told, by which routes that is settled, and how often the others were tried."""

    entry: Entry
    settled: tuple[str, ...]
    tries: dict[str, int]


class Book:
    """``clock`` is nanoseconds. All raise :class:`~functions.shared.errors.StoreUnavailable`."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def standing(self) -> dict[str, Standing]:
        """Every alert there ever was, by its id."""
        return {one.alert_id: one for one in map(_standing, self._database.rows(_STANDING, {}))}

    def write(self, entries: Iterable[Entry]) -> None:
        """Write changes. The same ones again are the same rows."""
        some: list[str] = []
        for row in map(_row, entries):
            if some and len(",".join([*some, row]).encode()) > _BYTES_AT_A_TIME:
                self._database.run(_WRITE, {"rows": f"[{','.join(some)}]"})
                some = []
            some.append(row)
        if some:
            self._database.run(_WRITE, {"rows": f"[{','.join(some)}]"})

    def due(self, since: int, routes: Iterable[str]) -> list[Due]:
        """What changed since then and is still to be told by one of the routes: the oldest, and not all at once."""
        given = {"since": since // MILLISECOND, "routes": list(routes), "most": _MOST_DUE}
        return [_due(row) for row in self._database.rows(_DUE, given)]

    def note(self, change_id: str, route: str, state: str, tries: int, detail: str = "") -> None:
        """Note what came of telling something by a route: sent, failed or given_up."""
        given = {"id": change_id, "route": route, "state": state, "tries": tries, "detail": detail}
        self._database.run(_NOTE, {**given, "version": self._clock()})

    def history(self, limit: int, rule: str = "") -> list[tuple[Entry, dict[str, str]]]:
        """The last changes, the newest first, each with what came of telling it by route."""
        rows = self._database.rows(_HISTORY, {"limit": limit, "rule": rule})
        return [(_entry(row[:-1]), dict(row[-1])) for row in rows]

    def silences(self) -> list[Silence]:
        """All, the oldest first, also those that are over."""
        return [_silence(row) for row in self._database.rows(_SILENCES, {})]

    def silence(self, silence: Silence) -> None:
        """Let a silence be so; one of the same id is replaced."""
        given = {**silence._asdict(), "tags": _text(silence.tags), "version": self._clock()}
        self._database.run(_SILENCE, given)

    def unsilence(self, silence_id: str) -> Silence:
        """End a silence now. Raises :class:`NotFound`."""
        for one in self.silences():
            if one.silence_id == silence_id.lower():
                ended = one._replace(until=min(one.until, self._clock()))
                self.silence(ended)
                return ended
        raise NotFound("no_such_silence", "There is no such silence.")


def _text(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _row(entry: Entry) -> str:
    return json.dumps({**entry._asdict(), "tags": _text(entry.tags)}, ensure_ascii=False, allow_nan=False)


def _standing(row: Sequence[Any]) -> Standing:
    entry = _entry(row)
    state: Any = entry.state
    alert = OK if state == "ok" else Alert(state, entry.since, entry.fired_at, entry.told_at)
    return Standing(
        entry.alert_id, entry.rule, dict(entry.tags), entry.number, alert, entry.severity, entry.summary,
        entry.condition, tuple(entry.routes), entry.value, entry.silence_id, entry.changed_at,
    )  # fmt: skip


def _entry(row: Sequence[Any]) -> Entry:
    named = dict(zip(Entry._fields, row, strict=True))
    return Entry(**{**named, "tags": json.loads(named["tags"]), "told": bool(named["told"])})


def _due(row: Sequence[Any]) -> Due:
    *entry, settled, tried = row
    return Due(_entry(entry), tuple(settled), {route: int(tries) for route, tries in tried})


def _silence(row: Sequence[Any]) -> Silence:
    return Silence(row[0], row[1], json.loads(row[2]), int(row[3]), int(row[4]), row[5], row[6])


_COLUMNS = """toString(alert_id), number, toString(change_id), event, state, told, silence_id, rule, tags, severity,
    summary, condition, routes, value, since, fired_at, told_at, toUnixTimestamp64Milli(changed_at) * 1000000"""
_STANDING = (
    f"SELECT {_COLUMNS} FROM alert_changes FINAL"  # noqa: S608  names of our own
    " ORDER BY alert_id, number DESC LIMIT 1 BY alert_id"
)
_WRITE = """INSERT INTO alert_changes (alert_id, number, change_id, event, state, told, silence_id, rule, tags,
    severity, summary, condition, routes, value, since, fired_at, told_at, changed_at)
SELECT toUUID(JSONExtractString(one, 'alert_id')), JSONExtractUInt(one, 'number'),
    toUUID(JSONExtractString(one, 'change_id')), JSONExtractString(one, 'event'), JSONExtractString(one, 'state'),
    JSONExtractBool(one, 'told'), JSONExtractString(one, 'silence_id'), JSONExtractString(one, 'rule'),
    JSONExtractString(one, 'tags'), JSONExtractString(one, 'severity'), JSONExtractString(one, 'summary'),
    JSONExtractString(one, 'condition'), JSONExtract(one, 'routes', 'Array(String)'),
    JSONExtract(one, 'value', 'Nullable(Float64)'), JSONExtractInt(one, 'since'), JSONExtractInt(one, 'fired_at'),
    JSONExtractInt(one, 'told_at'), fromUnixTimestamp64Milli(intDiv(JSONExtractInt(one, 'changed_at'), 1000000), 'UTC')
FROM (SELECT arrayJoin(JSONExtractArrayRaw({rows:String})) AS one)"""
_DELIVERED = """(SELECT change_id, groupArrayIf(route, state != 'failed') AS settled,
        groupArray((route, tries)) AS tried, groupArray((route, state)) AS states
    FROM (SELECT change_id, route, state, tries FROM alert_deliveries FINAL) GROUP BY change_id) AS delivered"""
_DUE = f"""SELECT {_COLUMNS}, settled, tried
FROM (SELECT * FROM alert_changes FINAL
    WHERE told AND changed_at >= fromUnixTimestamp64Milli({{since:Int64}})) AS changes
LEFT JOIN {_DELIVERED} USING (change_id)
WHERE NOT hasAll(settled, arrayIntersect({{routes:Array(String)}}, if(empty(routes), {{routes:Array(String)}}, routes)))
ORDER BY changes.changed_at, alert_id, number LIMIT {{most:UInt32}}"""  # noqa: S608  names of our own
_HISTORY = f"""SELECT {_COLUMNS}, states
FROM (SELECT * FROM alert_changes FINAL WHERE {{rule:String}} IN ('', rule)
    ORDER BY changed_at DESC, number DESC LIMIT {{limit:UInt32}}) AS changes
LEFT JOIN {_DELIVERED} USING (change_id)
ORDER BY changes.changed_at DESC, number DESC"""  # noqa: S608  names of our own
_NOTE = """INSERT INTO alert_deliveries (change_id, route, state, tries, detail, version)
SELECT {id:UUID}, {route:String}, {state:String}, {tries:UInt32}, {detail:String}, {version:UInt64}"""
_SILENCES = """SELECT toString(silence_id), rule, tags, since, until, said_by, reason
FROM alert_silences FINAL ORDER BY since, silence_id"""
_SILENCE = """INSERT INTO alert_silences (silence_id, rule, tags, since, until, said_by, reason, version)
SELECT {silence_id:UUID}, {rule:String}, {tags:String}, {since:Int64}, {until:Int64}, {said_by:String}, {reason:String},
    {version:UInt64}"""
