"""Dead letters for who asks: which there are, why, and how they stand."""

from collections.abc import Generator, Sequence
from typing import Any, Literal, NamedTuple

from functions.measure.database import Readable, one
from functions.measure.replays.request import Filter
from functions.measure.replays.sources import conditions_of_letters
from functions.shared.domain import environments, instants
from functions.shared.ports import Depth

LetterState = Literal["dead", "replaying", "failed", "resolved"]
STATES: tuple[LetterState, ...] = ("dead", "replaying", "failed", "resolved")
OPEN: tuple[LetterState, ...] = ("dead", "replaying", "failed")


class Place(NamedTuple):
    """Where a page ended: nanoseconds, and the letter's id."""

    received_at: int
    dead_id: str


def letters(
    database: Readable,
    which: Filter,
    states: Sequence[LetterState],
    limit: int,
    before: Place | None,
    environment: str = "",
) -> Generator[tuple[Place, dict[str, Any]]]:
    """The newest first, by their receipt. The keys of a page are found before anything wide is read."""
    where, given = conditions_of_letters(which)
    if before is not None:
        moment = "fromUnixTimestamp64Nano({before:Int64}, 'UTC')"
        where += f" AND received_at <= {moment} AND (received_at, dead_id) < ({moment}, {{dead_id:UUID}})"
        given |= {"before": before.received_at, "dead_id": before.dead_id}
    if environment:
        where += f" AND {environments.condition(environment, 'd.key_id')}"
    given |= {"states": list(states), "limit": limit}
    for row in database.rows(_LETTERS.format(where=where), given):
        yield Place(row[0], row[2]), _shown(row)


def standing(database: Readable) -> dict[str, int]:
    """How many letters are in each state."""
    return dict(zip(STATES, one(database, _STANDING), strict=True))


def with_letters(depth: Depth, database: Readable) -> Depth:
    """What waits in a queue, with all letters that no replay has brought home: also those that left the broker."""
    return depth._replace(dead=depth.dead + one(database, _OPEN)[0])


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    names = _NAMES.split()
    found = dict(zip(names, row, strict=True))
    times = {name: instants.to_text(found[name]) for name in ("received_at", "queued_at", "dead_at", "changed_at")}
    texts = {name: found[name] or None for name in ("key_id", "raw_encoding", "replay_id")}
    return {**found, **times, **texts, "stage": "enrich", "readable": bool(found["readable"])}


# As the statement has them.
_NAMES = """received_at batch_id dead_id batch_index event_id key_id platform event_type event_name raw_data
raw_encoding readable queued_at dead_at state attempts deaths cause replay_id changed_at"""
_LETTERS = """SELECT toUnixTimestamp64Nano(d.received_at) AS at, toString(d.batch_id), toString(d.dead_id) AS id,
    d.batch_index, toString(d.event_id), d.key_id, d.platform, d.event_type, d.event_name, d.raw_data, d.raw_encoding,
    d.readable, toUnixTimestamp64Nano(d.queued_at), toUnixTimestamp64Nano(d.dead_at), toString(s.state), s.tries,
    s.deaths, s.cause, if(r.generation = 0, '', toString(r.replay_id)), toUnixTimestamp64Nano(toDateTime64(s.at, 9))
FROM dead_letters AS d FINAL
INNER JOIN dead_letter_states AS s FINAL USING (received_at, batch_id, batch_index)
LEFT JOIN (SELECT generation, replay_id FROM replays FINAL) AS r ON r.generation = s.generation
WHERE (d.received_at, d.batch_id, d.batch_index) IN (
    SELECT received_at, batch_id, batch_index FROM dead_letters AS d FINAL
    INNER JOIN (SELECT * FROM dead_letter_states FINAL) AS s USING (received_at, batch_id, batch_index)
    WHERE toString(s.state) IN ({{states:Array(String)}}){where}
    ORDER BY received_at DESC, d.dead_id DESC LIMIT {{limit:UInt32}})
ORDER BY at DESC, d.dead_id DESC"""
_OPEN = "SELECT countIf(state != 'resolved') FROM dead_letter_states FINAL"
_STANDING = """SELECT countIf(state = 'dead'), countIf(state = 'replaying'), countIf(state = 'failed'),
    countIf(state = 'resolved') FROM dead_letter_states FINAL"""
