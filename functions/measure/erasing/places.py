"""Where a person may be: the tables of events, and what is made of them. Nothing but SQL of our own names.

Every statement names the person by the erasure alone (parameter: id), since the store keeps the text of some.
"""
# ruff: noqa: S608  the SQL is put together from our own names

from dataclasses import dataclass

from functions.shared.domain import environments, ids

_NAMED = "(SELECT name FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind = '%s')"
USERS = "(SELECT toUUID(name) FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind = 'user')"
IDENTITIES, LOST = (_NAMED % kind for kind in ("identity", "lost"))
DEVICES = f"({_NAMED % 'device'} UNION ALL {_NAMED % 'test_device'})"
_TEXTS = "(SELECT groupArray(name) FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind = 'text')"
ERASED = "(SELECT event_id FROM erased_events WHERE erasure_id = {id:UUID})"
# The visitors that are nobody else: those of users; and all names that the person's sessions ever had.
OWN_VISITORS = "(SELECT concat('u:', name) FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind = 'user')"
NAMES = (
    "(SELECT if(kind = 'user', concat('u:', name), name)"
    " FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind IN ('user', 'identity'))"
)
VISITORS = (
    "(SELECT multiIf(kind = 'user', concat('u:', name), kind IN ('device', 'test_device'), concat('a:', name), name)"
    " FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind IN ('user', 'device', 'test_device', 'identity'))"
)
# As what an event's device is known.
_AS_DEVICE = f"if({environments.condition(environments.TEST)}, 'test_device', 'device')"
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_COLUMNS = "event_id, timestamp, received_at, batch_id, batch_index, key_id"


@dataclass(frozen=True)
class Events:
    """A table of events. ``told`` says which of its rows have their ids in their bytes alone, or in their patch."""

    name: str
    time: str = "timestamp"
    identity: str = "concat('a:', anonymous_id)"
    told: str = ""
    patched: bool = False
    parted: bool = True


EVENTS = (
    Events("raw_events", told="processing_status = 'failed'", patched=True),
    Events("processed_events", identity="identity"),
    Events("dead_letters", time="received_at", told="true", parted=False),
)


def found(place: Events) -> str:
    """The rows of a table that are the person's: by user, by turn of a device, by identity, and by their bytes."""
    columns = _COLUMNS.replace("timestamp", f"{place.time} AS timestamp", 1)
    device = _in_turns(place, _AS_DEVICE, "anonymous_id", f"user_id IS NULL AND anonymous_id IN {DEVICES}")
    parts = [f"SELECT {columns} FROM {place.name} WHERE user_id IN {USERS}", device]
    nobody = f"user_id IS NULL AND {place.identity} IN {IDENTITIES}"
    parts.append(_in_turns(place, "'identity'", place.identity, nobody))
    if place.told:
        parts += _in_bytes(place)
    return " UNION ALL ".join(parts)


def _in_turns(place: Events, kind: str, name: str, where: str) -> str:
    columns = _COLUMNS.replace("timestamp", f"{place.time} AS timestamp", 1)
    return _joined(
        f"SELECT {columns}, {kind} AS kind, {name} AS subject, (toUnixTimestamp64Nano({place.time}),"
        f" toString(event_id)) AS position FROM {place.name} WHERE {where}"
    )


def _joined(rows: str) -> str:
    turns = (
        "SELECT toString(kind) AS kind, name AS subject, (since, since_id) AS begins, (until, until_id) AS ends"
        " FROM erasure_subjects WHERE erasure_id = {id:UUID}"
    )
    return (
        f"SELECT {_COLUMNS} FROM ({rows}) AS e INNER JOIN ({turns}) AS t USING (kind, subject)"
        " WHERE position >= begins AND position < ends"
    )


def _in_bytes(place: Events) -> list[str]:
    """Events that failed, or died: their ids are only in their bytes; of such as cannot be read, a text of theirs."""
    text = "if(raw_encoding = 'base64', tryBase64Decode(raw_data), raw_data)"
    columns = _COLUMNS.replace("timestamp", f"{place.time} AS timestamp", 1)
    read = (
        f"SELECT {columns}, text, isValidJSON(text) AS readable, JSONExtractString(text, 'user_id') AS ref,"
        " JSONExtractString(text, 'anonymous_id') AS anonymous,"
        f" (toUnixTimestamp64Nano({place.time}), toString(event_id)) AS position"
        f" FROM (SELECT *, {text} AS text FROM {place.name} WHERE {place.told})"
    )
    of_user = f"SELECT {_COLUMNS} FROM ({read}) WHERE ref != '' AND {_user('ref')} IN {USERS}"
    of_device = (
        f"SELECT *, {_AS_DEVICE} AS kind, anonymous AS subject FROM ({read}) WHERE ref = '' AND anonymous IN {DEVICES}"
    )
    # A device that was named to the erasure is an identity, as are those that operators merged.
    as_identity = f"SELECT *, 'identity' AS kind, concat('a:', anonymous) AS subject FROM ({read})"
    of_identity = f"{as_identity} WHERE ref = '' AND anonymous != '' AND subject IN {IDENTITIES}"
    unreadable = (
        f"SELECT {_COLUMNS} FROM ({read}) WHERE NOT readable AND arrayExists(one -> position(text, one) > 0, {_TEXTS})"
    )
    found = [of_user, _joined(of_device), _joined(of_identity), unreadable]
    return [*found, _in_patch(place, columns)] if place.patched else found


def _in_patch(place: Events, columns: str) -> str:
    """Failed events that a replay was to make the person's: their bytes stay as they came, their patch says it."""
    users = "(SELECT groupArray(name) FROM erasure_subjects WHERE erasure_id = {id:UUID} AND kind = 'user')"
    made = f"arrayMap(word -> toString({_user('word')}), arrayMap(one -> JSONExtractString(one, 'value'), operations))"
    return (
        f"SELECT {_COLUMNS} FROM (SELECT {columns}, JSONExtractArrayRaw(patch) AS operations FROM {place.name}"
        f" WHERE {place.told} AND patch != '') WHERE hasAny({made}, {users})"
    )


def _user(reference: str) -> str:
    """A user's id from the id that was sent, as enrich makes it."""
    h = f"lower(hex(SHA1(concat(unhex('{ids.NAMESPACE.hex}'), 'user:', {reference}))))"
    variant = f"lower(hex(bitOr(bitAnd(reinterpretAsUInt8(unhex(substring({h}, 17, 2))), 63), 128)))"
    made = (
        f"concat(substring({h}, 1, 8), '-', substring({h}, 9, 4), '-5', substring({h}, 14, 3), '-',"
        f" {variant}, substring({h}, 19, 2), '-', substring({h}, 21, 12))"
    )
    return f"toUUIDOrZero(if(match({reference}, '{_UUID}'), lower({reference}), {made}))"


def gather(place: Events) -> str:
    """Write down which rows of a table are the person's."""
    return (
        f"INSERT INTO erased_events (erasure_id, place, {_COLUMNS}) SELECT {{id:UUID}}, '{place.name}', {_COLUMNS}"
        f" FROM ({found(place)}) LIMIT 1 BY event_id"
    )


def count(place: Events) -> str:
    """How many events of the person a table has."""
    return f"SELECT uniqExact(event_id) FROM ({found(place)})"
