"""What the ledger and the dead letters add to an event's trace: each attempt to record it, where and when. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from functions.serve.ledger import at
from functions.serve.statement import Row, Statement
from functions.shared.domain import environments, minutes

MAX_WITNESSES = 500
MAX_DEAD = 100
_LISTS = ("failed", "superseded", "mended")


class Place(NamedTuple):
    """Where a delivery of the event stood: its request, and its place in the batch."""

    batch_id: str
    received_at: int
    number: int


class Witness(NamedTuple):
    """A row of the ledger about one of these requests. The lists hold none but the places that were asked for."""

    batch_id: str
    received_at: int
    first: int
    events: int
    kind: str
    attempt: int
    queued_at: int
    started_at: int
    recorded_at: int
    host: str
    request_id: str
    failed: list[int]
    superseded: list[int]
    mended: list[int]

    def about(self, place: Place) -> bool:
        """Whether it tells of the event there."""
        if (self.batch_id, self.received_at) != place[:2]:
            return False
        if self.kind in ("tally", "outcome"):
            return self.first <= place.number < self.first + self.events
        return place.number in (*self.superseded, *self.mended)


def witnesses(places: Sequence[Place], environment: str) -> Statement:
    """What the ledger knows of the requests."""
    columns = f"""toString(batch_id), toUnixTimestamp64Nano(received_at), first_index, events, toString(kind), attempt,
        toUnixTimestamp64Nano(queued_at), toUnixTimestamp64Nano(started_at),
        toUnixTimestamp64Milli(recorded_at) * 1000000, host, request_id,
        {", ".join(f"arrayIntersect({name}, {{places:Array(UInt32)}})" for name in _LISTS)}"""
    return Statement(
        f"SELECT {columns} FROM ledger WHERE minute IN (SELECT toDateTime(arrayJoin({{minutes:Array(UInt32)}})))"  # noqa: S608  our own names
        f" AND batch_id IN {{batches:Array(UUID)}} AND {environments.condition(environment)}"
        f" ORDER BY recorded_at LIMIT {MAX_WITNESSES}",
        {
            "minutes": sorted({minutes.of(place.received_at) for place in places}),
            "batches": sorted({place.batch_id for place in places}),
            "places": sorted({place.number for place in places}),
        },
    )


def dead(event_id: str, environment: str) -> Statement:
    """Its deliveries that were given up: where they stood, when, how they stand now, why, and after how many tries."""
    key = "received_at, batch_id, batch_index"
    own = f"SELECT * FROM dead_letters FINAL WHERE event_id = {{id:UUID}} AND {environments.condition(environment)}"  # noqa: S608
    states = f"SELECT * FROM dead_letter_states FINAL WHERE ({key}) IN (SELECT {key} FROM ({own}))"  # noqa: S608
    return Statement(
        "SELECT toString(batch_id), toUnixTimestamp64Nano(received_at), batch_index, toString(d.key_id),"  # noqa: S608
        " toUnixTimestamp64Nano(queued_at), toUnixTimestamp64Nano(dead_at), toString(state), cause, tries"
        f" FROM ({own}) AS d LEFT JOIN ({states}) AS s USING ({key}) ORDER BY dead_at LIMIT {MAX_DEAD}",
        {"id": event_id},
    )


def attempts(places: Sequence[Place], told: Iterable[Witness]) -> list[dict[str, Any]]:
    """Each attempt that came to its end, and each word that what it recorded counts no longer, in their order."""
    found = []
    for one in told:
        for place in places:
            if one.kind != "tally" and one.about(place):
                found.append(_attempt(one, place))
    return found


def accepted(place: Place, told: Iterable[Witness]) -> dict[str, str]:
    """Where the request was taken, and by which name the log has it; nothing where no tally came."""
    tally = next((one for one in told if one.kind == "tally" and one.about(place)), None)
    if tally is None:
        return {}
    return {name: value for name, value in (("host", tally.host), ("request_id", tally.request_id)) if value}


def given_up(row: Row) -> dict[str, Any]:
    """A delivery among the dead letters."""
    batch_id, received, index, _, _, dead_at, state, cause, tries = row
    return {
        "batch_id": batch_id,
        "batch_index": index,
        "received_at": at(received),
        "at": at(dead_at),
        "state": state,
        "cause": cause,
        "attempts": tries,
    }


def of_the_dead(event_id: str, row: Row) -> dict[str, Any]:
    """The trace of an event of which nothing is stored but that it was given up."""
    batch_id, received, index, key_id, queued, dead_at, _, cause, tries = row
    return {
        "event_id": event_id,
        "state": "dead",
        "batch_id": batch_id,
        "batch_index": index,
        "key_id": key_id or None,
        "stages": [
            {"stage": "accepted", "at": at(received), "attempt": 1},
            {"stage": "queued", "at": at(queued or received), "attempt": 1},
            {"stage": "dead", "at": at(dead_at), "attempt": tries, "cause": cause},
        ],
        "duplicates": [],
    }


def _attempt(one: Witness, place: Place) -> dict[str, Any]:
    base = {"batch_id": place.batch_id, "batch_index": place.number, "received_at": at(place.received_at)}
    if one.kind != "outcome":
        outcome = "mended" if place.number in one.mended else "superseded" if one.superseded else one.kind
        return {**base, "outcome": outcome, "ended_at": at(one.recorded_at)}
    outcome = "duplicate" if place.number in one.superseded else "failed" if place.number in one.failed else "stored"
    return {
        **base,
        "outcome": outcome,
        "attempt": one.attempt,
        "host": one.host or None,
        # What was not known is 0; of earlier releases it is the time of receipt.
        "queued_at": at(one.queued_at or one.received_at),
        "started_at": at(one.started_at or one.received_at),
        "ended_at": at(one.recorded_at),
    }
