"""What replays there are, how far each came, and what came of it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from functions.measure.database import Database, one
from functions.measure.replays.request import Request, from_text, to_text
from functions.shared.domain import instants
from functions.shared.errors import NotFound

State = Literal["waiting", "running", "stopped", "settling", "done"]


class Progress(NamedTuple):
    """How far a replay came: the position behind the last page it sent, and events sent. ``ended``: all of them.

    ``until`` is the end of a page that is being sent, after which ``planned`` are.
    """

    step: int = 0
    position: str = ""
    sent: int = 0
    until: str = ""
    planned: int = 0
    ended: bool = False
    settled: bool = False
    outcome: tuple[int, ...] = ()


class Outcome(NamedTuple):
    """What became of the events that were sent, in events. ``superseded``: another delivery counts."""

    stored: int = 0
    failed: int = 0
    dead: int = 0
    superseded: int = 0


class Replay(NamedTuple):
    """One replay. ``created_at`` is in nanoseconds, and so is its generation, which no other has."""

    replay_id: str
    generation: int
    request: Request
    matched: int
    stopped: bool
    created_at: int
    progress: Progress

    @property
    def at_work(self) -> bool:
        """Whether there is anything to do for it, as far as is wanted."""
        return not self.progress.settled and (self.progress.ended or not self.stopped)


class Book:
    """The replays of a store. ``clock`` is nanoseconds, ``new_id`` makes a UUID."""

    def __init__(self, database: Database, clock: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    def generation(self) -> int:
        """One that is above all before."""
        return max(self._clock(), int(one(self._database, "SELECT max(generation) + 1 FROM replays")[0]))

    def create(self, request: Request, generation: int, matched: int) -> Replay:
        """Note a replay: it begins with the next run."""
        replay_id = self._new_id()
        given = {"id": replay_id, "generation": generation, "request": to_text(request), "matched": matched}
        self._database.run(_CREATE, given)
        return self.get(replay_id)

    def get(self, replay_id: str) -> Replay:
        """One replay. Raises :class:`NotFound`."""
        for replay in self._read("WHERE replay_id = {id:UUID}", {"id": replay_id}):
            return replay
        raise NotFound("replay_not_found", f"There is no replay {replay_id[:60]!r}.")

    def newest(self, limit: int = 1_000, before: int | None = None) -> list[Replay]:
        """The newest first; of those made before a generation."""
        where = "" if before is None else "WHERE generation < {before:UInt64}"
        given = {"limit": limit, "before": before or 0}
        return self._read(f"{where} ORDER BY generation DESC LIMIT {{limit:UInt32}}", given)

    def want(self, replay_id: str, *, stop: bool) -> Replay:
        """Stop a replay, or let it go on. What is on its way arrives in either case. Raises :class:`NotFound`."""
        if self.get(replay_id).stopped != stop:
            self._database.run(_WANT, {"id": replay_id, "wanted": "stop" if stop else "run"})
        return self.get(replay_id)

    def note(self, replay: Replay, progress: Progress) -> Replay:
        """Note how far it came, as one more step."""
        progress = progress._replace(step=replay.progress.step + 1)
        self._database.run(_NOTE, {"id": replay.replay_id, **progress._asdict(), "outcome": list(progress.outcome)})
        return replay._replace(progress=progress)

    def outcome(self, replay: Replay) -> Outcome:
        """What came of it so far; once it is settled, what was kept."""
        if replay.progress.settled:
            return Outcome(*replay.progress.outcome)
        if not replay.progress.sent:
            return Outcome()
        return Outcome(*one(self._database, _OUTCOME, {"generation": replay.generation}))

    def _read(self, sql: str, given: dict[str, Any]) -> list[Replay]:
        rows = list(self._database.rows(f"{_READ} {sql}", given))
        noted = self._database.rows(_PROGRESS, {"ids": [row[0] for row in rows]}) if rows else ()
        steps = {row[0]: Progress._make([*row[1:8], tuple(row[8])]) for row in noted}
        return [
            Replay(row[0], row[1], from_text(row[2]), row[3], row[4], row[5], steps.get(row[0], Progress()))
            for row in rows
        ]


def told(replay: Replay, outcome: Outcome) -> dict[str, Any]:
    """A replay as it is shown."""
    request, progress = replay.request, replay.progress
    settled = sum(outcome)
    return {
        "replay_id": replay.replay_id,
        "generation": replay.generation,
        "state": state(replay),
        "created_at": instants.to_text(replay.created_at),
        "source": request.source,
        "filter": _filter(request),
        "patch": msgspec.to_builtins(list(request.patch)),
        "rate_per_second": request.rate or None,
        "matched": replay.matched,
        "sent": progress.sent,
        "stored": outcome.stored,
        "failed_again": outcome.failed + outcome.dead,
        "dead_again": outcome.dead,
        "superseded": outcome.superseded,
        "in_flight": max(0, progress.sent - settled),
        "remaining": 0 if progress.ended else max(0, replay.matched - progress.sent),
    }


def state(replay: Replay) -> State:
    """How it stands. ``settling``: all is sent, and some is on its way."""
    progress = replay.progress
    if progress.settled:
        return "done"
    if progress.ended:
        return "settling"
    return "stopped" if replay.stopped else "running" if progress.step else "waiting"


def _filter(request: Request) -> dict[str, Any]:
    which = request.filter
    times = {"from": which.since, "to": which.until}
    lists = {"event_name": which.event_names, "key_id": which.key_ids, "event_ids": which.event_ids}
    return {
        **{name: instants.to_text(at) for name, at in times.items() if at is not None},
        **({"cause": which.cause} if which.cause else {}),
        **{name: list(values) for name, values in lists.items() if values},
    }


_CREATE = """INSERT INTO replays (replay_id, generation, request, matched, wanted, created_at, version)
SELECT {id:UUID}, {generation:UInt64}, {request:String}, {matched:UInt64}, 'run',
    toDateTime64(fromUnixTimestamp64Nano({generation:Int64}, 'UTC'), 3), 1"""
_WANT = """INSERT INTO replays (replay_id, generation, request, matched, wanted, created_at, version)
SELECT replay_id, generation, request, matched, {wanted:String}, created_at, version + 1
FROM replays FINAL WHERE replay_id = {id:UUID}"""
_READ = """SELECT toString(replay_id) AS id, generation, request, matched, wanted = 'stop',
    toUnixTimestamp64Nano(toDateTime64(created_at, 9)) FROM replays FINAL"""
_PROGRESS = """SELECT toString(replay_id), step, position, sent, until, planned, ended, settled, outcome
FROM replay_progress FINAL WHERE replay_id IN ({ids:Array(UUID)})"""
_NOTE = """INSERT INTO replay_progress (replay_id, step, position, sent, until, planned, ended, settled, outcome)
SELECT {id:UUID}, {step:UInt64}, {position:String}, {sent:UInt64}, {until:String}, {planned:UInt64}, {ended:Bool},
    {settled:Bool}, {outcome:Array(UInt64)}"""
# A delivery that was claimed so long ago has its row, or another counts: the claim comes first, and a writer that died
# in between has its message again after the ack wait.
_OUTCOME = """SELECT
    (SELECT uniqExact(event_id) FROM raw_events
        WHERE generation = {generation:UInt64} AND processing_status = 'processed') AS stored,
    (SELECT uniqExact(event_id) FROM raw_events
        WHERE generation = {generation:UInt64} AND processing_status != 'processed') AS failed,
    (SELECT countIf(state = 'dead') FROM dead_letter_states FINAL WHERE generation = {generation:UInt64}) AS dead,
    (SELECT uniqExact(received_at, batch_id, batch_index) FROM event_deliveries
        WHERE generation = {generation:UInt64} AND recorded_at < now64(9) - INTERVAL 150 SECOND
            AND (received_at, batch_id, batch_index) NOT IN (
                SELECT received_at, batch_id, batch_index FROM raw_events WHERE generation = {generation:UInt64})
    ) AS superseded"""
