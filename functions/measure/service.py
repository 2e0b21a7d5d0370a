"""Measure: what was stored since the last run becomes sessions, metrics, and rows of the time-series store.

A run takes its turn, goes on from what is stored, and stops in time; the next one does what it left. Nothing here knows
how far it came: that is in the store.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from functions.measure.database import Database
from functions.measure.exporting import SessionExporter
from functions.measure.lease import Lease
from functions.measure.rebuilding import plan_rebuild, plan_untold
from functions.measure.runs import Journal, State
from functions.measure.stitching.stitcher import Stitcher
from functions.shared.errors import StoreUnavailable

_SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
# So many events in a step are merged into the metrics at once, that not all of a rebuild has to be in one.
_LARGE_STEP = 500_000


class Metrics(Protocol):
    """What follows the sessions. It was told at which times something changed, before anything was written."""

    def merge(self) -> Any:
        """Compute what it was told of."""
        ...

    def update(self) -> Any:
        """Compute that and write it. Raises :class:`StoreUnavailable`; then the next one goes on."""
        ...


class Range(NamedTuple):
    """What to compute anew, seconds since 1970; None is open."""

    since: int | None
    until: int | None


class Measured(NamedTuple):
    """What a run did. ``busy``: another one had the turn."""

    state: State | str
    counts: dict[str, int]
    step_ms: dict[str, float]
    detail: str


class MeasureService:
    """The one call that the schedule makes. One object a run at a time."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        stitcher: Stitcher,
        metrics: Metrics,
        exporter: SessionExporter,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._database, self._lease, self._stitcher = database, lease, stitcher
        self._metrics, self._exporter = metrics, exporter
        self._clock, self._new_id = clock, new_id
        self._journal = Journal(database)

    def run(
        self, seconds: float, wait_seconds: float = 0.0, rebuild: Range | None = None, sweep: bool = False
    ) -> Measured:
        """Work for at most about so many seconds. ``sweep`` also looks for events of which no word was left yet.

        Raises :class:`StoreUnavailable` when the store is away.
        """
        if not self._lease.acquire(wait_seconds):
            return Measured("busy", {}, {}, "Another run has the turn.")
        try:
            return self._run(self._clock() + int(seconds * _SECOND), rebuild, sweep)
        finally:
            self._lease.release()

    def _run(self, deadline: int, rebuild: Range | None, sweep: bool) -> Measured:
        began = self._clock()
        run = {"run_id": self._new_id(), "kind": "rebuild" if rebuild else "tick", "began": began}
        self._journal.note(run, "running", {}, {})
        counts: Counter[str] = Counter()
        step_ms: dict[str, float] = {}

        def more() -> bool:
            return self._clock() < deadline

        def timed(name: str, since: int) -> None:
            step_ms[name] = round((self._clock() - since) / _MILLISECOND, 3)

        if rebuild:
            counts["ranges"] = plan_rebuild(self._database, *rebuild)
        if sweep:
            plan_untold(self._database)
        finished = self._stitch(counts, more)
        timed("stitch", began)
        details = []
        for name, follow in (("metrics", self._follow_metrics), ("export", self._follow_export)):
            at = self._clock()
            try:
                finished = follow(counts, more) and finished
            except StoreUnavailable as error:
                self._lease.check()
                details.append(f"{name}: {error.detail}")
            timed(name, at)
        state: State = "done" if finished and not details else "unfinished"
        self._journal.note(run, state, counts, step_ms, " ".join(details))
        return Measured(state, dict(counts), step_ms, " ".join(details))

    def _stitch(self, counts: Counter[str], more: Callable[[], bool]) -> bool:
        while step := self._stitcher.step():
            counts.update({"steps": 1, **step._asdict()})
            if step.events >= _LARGE_STEP:
                self._metrics.merge()
            if not more():
                return False
        return True

    def _follow_metrics(self, counts: Counter[str], _more: Callable[[], bool]) -> bool:
        report = self._metrics.update()
        counts["metric_rows"] = int(getattr(report, "exported", 0))
        return True

    def _follow_export(self, counts: Counter[str], more: Callable[[], bool]) -> bool:
        counts["exported"], counts["refused"], everything = self._exporter.export(more)
        return everything
