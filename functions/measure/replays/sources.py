"""Where a replay finds its events: page by page, in an order that stays. What it has in hand, it finds again."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from functions.measure.database import one
from functions.measure.replays.collecting import STATE, Letters
from functions.measure.replays.letters import IN_HAND, version
from functions.measure.replays.repacking import Item
from functions.measure.replays.request import Filter, Request
from functions.shared.domain import consent, visitors
from functions.shared.domain.privacy import Redactor
from schemas import salvage

Values = dict[str, Any]
_OF_NOBODY = Redactor()
# How many a letter has as a rule: dead, in hand, resolved. Where there are more, it looks further.
_STATES_A_LETTER, _FURTHER = 4, 4


class Page(NamedTuple):
    """Some events, and the position behind the last of them."""

    items: list[Item]
    position: str


class Events(Protocol):
    """The events of one replay."""

    def count(self) -> int:
        """How many there are now."""
        ...

    def page(self, position: str, limit: int, until: str = "") -> Page:
        """The next of them; none at the end. The first ``position`` is empty. ``until``: those up to there."""
        ...

    def in_hand(self, position: str, until: str) -> None:
        """Say that the events between the positions are brought again now."""
        ...


def events(database: Letters, request: Request, generation: int) -> Events:
    """The source of a replay. It looks at what was there as the replay was made, which is at its generation."""
    if request.source == "dead":
        return DeadEvents(database, request.filter, generation)
    return RawEvents(database, request, generation)


class DeadEvents:
    """Dead letters, and those that failed when they were replayed; in the order of their receipt."""

    def __init__(self, database: Letters, which: Filter, generation: int) -> None:
        self._database, self._which, self._generation = database, which, generation

    def count(self) -> int:
        """See the protocol."""
        sql, given = self._keys("")
        return int(one(self._database, f"SELECT count() FROM ({sql})", given)[0])

    def page(self, position: str, limit: int, until: str = "") -> Page:
        """See the protocol. Keys first: the bytes of what is not in the page are not read."""
        behind = until or self._end(position, limit)
        if not behind:
            return Page([], position)
        sql, given = self._keys(position, behind)
        rows = self._database.rows(_LETTERS.format(keys=sql, bounds=_between(position, behind)[0]), given)
        return Page([_dead_item(row) for row in rows], behind)

    def _end(self, position: str, limit: int) -> str:
        """The position of the last letter of a page; empty where there is none. It looks no further than it has to."""
        rows = limit * _STATES_A_LETTER
        while True:
            ahead = self._ahead(position, rows)
            last, count = self._last(position, limit, ahead)
            if count >= limit or not ahead:
                return last
            rows *= _FURTHER

    def _ahead(self, position: str, rows: int) -> str:
        """The position so many rows ahead, states of the same letter among them; empty where there are fewer."""
        bounds, given = _between(position, "")
        found = list(self._database.rows(_AHEAD.format(bounds=bounds), {**given, "rows": rows}))
        return _position(*found[0]) if found else ""

    def _last(self, position: str, limit: int, until: str) -> tuple[str, int]:
        """The position of the last of so many letters, and how many there are."""
        sql, given = self._keys(position, until)
        last = list(
            self._database.rows(
                f"SELECT max(tuple(received_at, batch_id, batch_index)) AS last, count(),"
                f" toUnixTimestamp64Nano(last.1), toString(last.2), last.3"
                f" FROM ({sql} ORDER BY received_at, batch_id, batch_index LIMIT {{limit:UInt32}})",
                {**given, "limit": limit},
            )
        )
        return (_position(*last[0][2:]), int(last[0][1])) if last and last[0][1] else ("", 0)

    def in_hand(self, position: str, until: str) -> None:
        """See the protocol. One statement, which may be run again."""
        sql, given = self._keys(position, until)
        given |= {"generation": self._generation, "version": version(self._generation, IN_HAND)}
        self._database.run(
            _IN_HAND.format(columns=", ".join(STATE), keys=sql, bounds=_between(position, until)[0]), given
        )

    def _keys(self, position: str, until: str = "") -> tuple[str, Values]:
        """The keys of the letters behind a position, up to another: two narrow tables, in the order of both."""
        bounds, given = _between(position, until)
        where, more = _conditions(self._which, _DEAD_COLUMNS)
        given |= {**more, "generation": self._generation, "next": version(self._generation, 0)}
        return (
            "SELECT received_at, batch_id, batch_index FROM dead_letters AS d FINAL INNER JOIN"
            f" (SELECT * FROM dead_letter_states FINAL WHERE {bounds}) AS s USING (received_at, batch_id, batch_index)"
            f" WHERE {bounds} AND s.state != 'resolved' AND (s.version < {{next:UInt64}} OR"
            f" (s.generation = {{generation:UInt64}} AND s.state = 'replaying')){where}"
        ), given


class RawEvents:
    """Rows of ``raw_events``, in the order of their timestamps."""

    def __init__(self, database: Letters, request: Request, generation: int) -> None:
        self._database, self._request, self._generation = database, request, generation

    def count(self) -> int:
        """See the protocol."""
        where, given = self._where("")
        return int(one(self._database, f"SELECT count() FROM raw_events WHERE {where}", given)[0])

    def page(self, position: str, limit: int, until: str = "") -> Page:
        """See the protocol."""
        where, given = self._where(position, until)
        given |= {"limit": limit, "anonymised": consent.ANONYMISED}
        rows = list(self._database.rows(_RAW.format(where=where), given))
        items = [_raw_item(row, self._request.source == "stored") for row in rows]
        return Page(items, until or (_position(rows[-1][0], rows[-1][1], 0) if rows else position))

    def in_hand(self, position: str, until: str) -> None:
        """See the protocol. Nothing is said: they stay readable as they are until something better is stored."""

    def _where(self, position: str, until: str = "") -> tuple[str, Values]:
        where, given = _conditions(self._request.filter, _RAW_COLUMNS)
        given |= {"generation": self._generation}
        state = "processed" if self._request.source == "stored" else "failed"
        for name, text, sign in (("after", position, ">"), ("until", until, "<=")):
            if text:
                at, event_id, _ = msgspec.json.decode(text)
                given |= {f"{name}_at": at, f"{name}_event": event_id}
                moment = f"fromUnixTimestamp64Nano({{{name}_at:Int64}}, 'UTC')"
                where += f" AND timestamp {sign[0]}= {moment}"
                where += f" AND (timestamp, event_id) {sign} ({moment}, {{{name}_event:UUID}})"
        return (
            f"processing_status = '{state}' AND generation < {{generation:UInt64}}"
            f" AND stored_at <= fromUnixTimestamp64Nano({{generation:Int64}}, 'UTC'){where}"
        ), given


class _Columns(NamedTuple):
    """What a filter is about: the columns of a source."""

    at: str
    cause: str
    prefix: str


_DEAD_COLUMNS = _Columns("received_at", "positionCaseInsensitiveUTF8(s.cause, {cause:String}) > 0", "d.")
_RAW_CAUSE = "(has(error_codes, {cause:String}) OR positionCaseInsensitiveUTF8(error_message, {cause:String}) > 0)"
_RAW_COLUMNS = _Columns("timestamp", _RAW_CAUSE, "")


def _conditions(which: Filter, columns: _Columns) -> tuple[str, Values]:
    found: list[tuple[str, Values]] = []
    if which.since is not None:
        found.append((f"{columns.at} >= fromUnixTimestamp64Nano({{since:Int64}}, 'UTC')", {"since": which.since}))
    if which.until is not None:
        found.append((f"{columns.at} < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC')", {"until": which.until}))
    if which.cause:
        found.append((columns.cause, {"cause": which.cause}))
    for name, kind, values in (
        ("event_name", "String", which.event_names),
        ("key_id", "String", which.key_ids),
        ("event_id", "UUID", which.event_ids),
    ):
        if values:
            found.append((f"{columns.prefix}{name} IN ({{{name}:Array({kind})}})", {name: list(values)}))
    given = {name: value for _, more in found for name, value in more.items()}
    return "".join(f" AND {condition}" for condition, _ in found), given


def _between(position: str, until: str) -> tuple[str, Values]:
    parts, given = ["1"], Values()
    for name, text, sign in (("after", position, ">"), ("until", until, "<=")):
        if text:
            at, batch_id, index = msgspec.json.decode(text)
            given |= {f"{name}_at": at, f"{name}_batch": batch_id, f"{name}_index": index}
            moment = f"fromUnixTimestamp64Nano({{{name}_at:Int64}}, 'UTC')"
            key = f"({moment}, {{{name}_batch:UUID}}, {{{name}_index:UInt32}})"
            parts += [f"received_at {sign[0]}= {moment}", f"(received_at, batch_id, batch_index) {sign} {key}"]
    return " AND ".join(parts), given


def _position(at: int, identity: str, index: int) -> str:
    return msgspec.json.encode([at, identity, index]).decode()


def _dead_item(row: Sequence[Any]) -> Item:
    header, place, event_id, data, encoding, digest, deaths, device = row
    line = salvage.restored(data, encoding)
    return Item(header, place, event_id, line, digest, deaths=deaths, given=_given(device))


def _raw_item(row: Sequence[Any], stored: bool) -> Item:
    _, event_id, batch_id, place, size, key_id, received_at, sent_at, ip, agent = row[:10]
    data, encoding, digest, at, before, device, of_nobody = row[10:]
    header: Mapping[str, Any] = {
        "batch_id": batch_id,
        "batch_size": size,
        "key_id": key_id,
        "received_at": received_at,
        **({"sent_at": sent_at} if sent_at else {}),
        "request": {"ip": ip, "user_agent": agent},
    }
    text = msgspec.json.encode(header).decode()
    line = salvage.restored(data, encoding)
    if of_nobody and not consent.refusal(None, line, ""):
        # Rows of earlier releases: only the flag tells, which neither a message nor a dead letter carries.
        line = _OF_NOBODY.text(line, "flag")
    # A patch that made an event good stays with it; one that did not is forgotten.
    return Item(
        text, place, event_id, line, digest, before if stored else "", at if stored else 0, given=_given(device)
    )


def _given(device: str) -> str:
    """The id that a visitor of a day was given, when the salt it was made with may be gone."""
    return device if device.startswith(visitors.PREFIX) else ""


_AHEAD = """SELECT toUnixTimestamp64Nano(received_at), toString(batch_id), batch_index FROM dead_letter_states
WHERE {bounds} ORDER BY received_at, batch_id, batch_index LIMIT 1 OFFSET {{rows:UInt64}}"""
# The bounds are those of the keys: said of each table, they spare the store all that lies outside.
_LETTERS = """SELECT header, batch_index, toString(event_id), raw_data, raw_encoding, digest, s.deaths,
    anonymous_id
FROM dead_letters AS d FINAL INNER JOIN (SELECT * FROM dead_letter_states FINAL WHERE {bounds}) AS s
USING (received_at, batch_id, batch_index)
WHERE {bounds} AND (received_at, batch_id, batch_index) IN ({keys})"""
_IN_HAND = """INSERT INTO dead_letter_states ({columns})
SELECT received_at, batch_id, batch_index, key_id, 'replaying', tries, deaths, cause, {{generation:UInt64}},
    {{version:UInt64}}
FROM dead_letter_states FINAL
WHERE {bounds} AND (received_at, batch_id, batch_index) IN ({keys}) AND version < {{version:UInt64}}"""
_RAW = """SELECT toUnixTimestamp64Nano(timestamp), toString(event_id), toString(batch_id), batch_index, batch_size,
    key_id, toUnixTimestamp64Nano(received_at), sent_at, request_ip, request_user_agent, raw_data, raw_encoding, digest,
    toUnixTimestamp64Nano(processed_at), patch, anonymous_id, has(flags, {{anonymised:String}})
FROM raw_events WHERE {where} ORDER BY timestamp, event_id LIMIT {{limit:UInt32}}"""


def conditions_of_letters(which: Filter) -> tuple[str, Values]:
    """A filter over dead letters (``d``) and their states (``s``), to be added to a condition."""
    return _conditions(which, _DEAD_COLUMNS)
