"""The journal of the batches: what each run did, and the last of them for who asks."""

from collections.abc import Mapping
from typing import Any, Literal

from functions.measure.database import Database

State = Literal["running", "done", "unfinished", "failed"]


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


def last(database: Database, limit: int = 5) -> list[dict[str, Any]]:
    """The last runs, the newest first, for ``/api/v1/status``."""
    names = ("run_id", "kind", "state", "began_at", "ended_at", "counts", "step_ms", "detail")
    return [dict(zip(names, row, strict=True)) for row in database.rows(LAST, {"limit": limit})]


LAST = """SELECT toString(run_id), kind, toString(state), formatDateTime(began_at, '%FT%TZ'),
    if(state = 'running', NULL, formatDateTime(ended_at, '%FT%TZ')), counts, step_ms, detail
FROM measure_runs FINAL ORDER BY began_at DESC LIMIT {limit:UInt32}"""
_NOTE = """INSERT INTO measure_runs (run_id, kind, state, began_at, ended_at, counts, step_ms, detail, version)
SELECT {run_id:UUID}, {kind:String}, {state:String},
    toDateTime64(fromUnixTimestamp64Nano({began:Int64}, 'UTC'), 3), now64(3),
    mapFromArrays({names:Array(String)}, {values:Array(Int64)}),
    mapFromArrays({steps:Array(String)}, {times:Array(Float64)}), {detail:String}, {version:UInt64}"""
