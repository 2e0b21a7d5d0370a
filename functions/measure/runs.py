"""The journal of the batches: what each run did, and the last of them for who asks."""

from collections.abc import Mapping
from typing import Any, Literal

from functions.measure.database import Database, Readable, one

State = Literal["running", "done", "unfinished", "failed"]
# So long after the schedule's minute something is amiss.
LATE_SECONDS = 300


class Journal:
    """Writes a row as a run begins and another as it ends; a run that died has only the first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(
        self,
        run: Mapping[str, Any],
        state: State,
        counts: Mapping[str, int],
        step_ms: Mapping[str, float],
        detail: str = "",
    ) -> None:
        """``run`` has run_id, kind and began (nanoseconds)."""
        self._database.run(
            _NOTE,
            {
                **run,
                "state": state,
                "names": list(counts),
                "values": list(counts.values()),
                "steps": list(step_ms),
                "times": list(step_ms.values()),
                "detail": detail,
                "version": 0 if state == "running" else 1,
            },
        )

    def told(self, what: str) -> None:
        """Say that something is computed by now: answers kept until then are made anew (:func:`computed`)."""
        self._database.run(_TOLD, {"stage": f"told:{what}"})


def computed(database: Readable) -> str:
    """Names what the batches have computed so far: while it stays, so do all answers made from that."""
    return str(one(database, _COMPUTED)[0])


def last(database: Readable, limit: int = 5) -> list[dict[str, Any]]:
    """The last runs, the newest first. Of those that are not ended only the newest can be at work; others died."""
    names = ("run_id", "kind", "state", "began_at", "ended_at", "counts", "step_ms", "detail")
    found = [dict(zip(names, row, strict=True)) for row in database.rows(_LAST, {"limit": limit})]
    return found[:1] + [{**run, "state": "died"} if run["state"] == "running" else run for run in found[1:]]


def behind(database: Readable) -> dict[str, Any]:
    """What waits to be computed, since when, and whether that is too long; or no run came to its end for too long."""
    blocks, events, oldest, done = one(database, _BEHIND)
    late = max(oldest or 0, done or 0) > LATE_SECONDS
    waiting = {"blocks": blocks, "events": events, "oldest_seconds": oldest}
    return {"late": late, "done_seconds_ago": done, "waiting": waiting}


# The newest runs only: looked up by their day, since the table is in the order of time.
_LAST = """SELECT toString(run_id), kind, toString(state), formatDateTime(began_at, '%FT%TZ'),
    if(state = 'running', NULL, formatDateTime(ended_at, '%FT%TZ')), counts, step_ms, detail
FROM measure_runs FINAL WHERE began_at >= (SELECT max(began_at) FROM measure_runs) - INTERVAL 1 DAY
ORDER BY began_at DESC, run_id LIMIT {limit:UInt32}"""
_BEHIND = """SELECT count(), sum(events), if(count() = 0, NULL, dateDiff('second', min(touched_at), now64(3))),
    (SELECT if(count() = 0, NULL, dateDiff('second', max(ended_at), now64(3))) FROM measure_runs WHERE state = 'done')
FROM touched"""
_TOLD = """INSERT INTO measure_progress (stage, version) SELECT {stage:String},
    greatest(toUInt64(toUnixTimestamp64Nano(now64(9))),
        (SELECT max(version) + 1 FROM measure_progress WHERE stage = {stage:String}))"""
_COMPUTED = """SELECT arrayStringConcat(arraySort(groupArray(concat(stage, '=', toString(reached)))), ' ')
FROM (SELECT stage, max(version) AS reached FROM measure_progress GROUP BY stage
    UNION ALL SELECT stage, max(batch) FROM metric_progress GROUP BY stage)"""
_NOTE = """INSERT INTO measure_runs (run_id, kind, state, began_at, ended_at, counts, step_ms, detail, version)
SELECT {run_id:UUID}, {kind:String}, {state:String},
    toDateTime64(fromUnixTimestamp64Nano({began:Int64}, 'UTC'), 3), now64(3),
    mapFromArrays({names:Array(String)}, {values:Array(Int64)}),
    mapFromArrays({steps:Array(String)}, {times:Array(Float64)}), {detail:String}, {version:UInt64}"""
