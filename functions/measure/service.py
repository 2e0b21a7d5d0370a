"""Measure: what was stored since the last run becomes sessions, metrics, and rows of the time-series store.

A run takes its turn, goes on from what is stored, and stops in time; the next one does what it left. Nothing here knows
how far it came: that is in the store.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from functions.measure import attempts
from functions.measure.background import Background
from functions.measure.database import Database
from functions.measure.following import Beside, Follow, Followed, More
from functions.measure.lease import Lease
from functions.measure.rebuilding import plan_rebuild, plan_untold, plan_upgrade
from functions.measure.runs import Journal, State
from functions.measure.stitching.stitcher import Stitcher
from functions.shared.errors import StoreUnavailable

_SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
# After so many events the metrics are merged, so that neither of a rebuild nor of days off all is left for the end.
_EVENTS_UNMERGED = 500_000


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


class Merges(NamedTuple):
    """What brings the metrics up to what is stored: ``arrived`` in what needs no sessions, ``all`` in all."""

    arrived: Beside
    all: Beside


class Done(NamedTuple):
    """What became of a step: ``detail`` says why it could not be done."""

    followed: Followed
    ms: float
    detail: str


class MeasureService:
    """The one call that the schedule makes. One object a run at a time."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        stitcher: Stitcher,
        merges: Merges,
        following: Mapping[str, Follow],
        beside: Mapping[str, Beside],
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        """``following`` comes at the end, and ``beside`` at the same time.

        While a large stitching goes on, ``beside`` and the merge are done after each step of it, for as far as it came.
        """
        self._database, self._lease, self._stitcher = database, lease, stitcher
        self._merges, self._following, self._beside = merges, following, beside
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

        plan_upgrade(self._database)
        self._database.run(attempts.REMEMBER, {})
        if rebuild:
            counts["ranges"] = plan_rebuild(self._database, *rebuild)
        if sweep:
            plan_untold(self._database)
        with Background({**self._merges._asdict(), **self._beside}, more) as background:
            finished = self._stitch(counts, more, background)
            background.finish()
        counts.update(background.counts)
        timed("stitch", began)
        details = []
        for name, done in self._follow(more):
            step_ms[name] = done.ms
            counts.update(done.followed.counts)
            finished = done.followed.finished and finished
            if done.followed.answers and any(done.followed.counts.values()):
                self._journal.told(name)
            if done.detail:
                self._lease.check()
                details.append(f"{name}: {done.detail}")
        state: State = "done" if finished and not details else "unfinished"
        self._journal.note(run, state, counts, step_ms, " ".join(details))
        return Measured(state, dict(counts), step_ms, " ".join(details))

    def _stitch(self, counts: Counter[str], more: More, background: Background) -> bool:
        # What comes from here on is left to the next run: under a steady load there is always more.
        unmerged, until = 0, self._stitcher.newest()
        while step := self._stitcher.step(until, partial(background.start, "arrived")):
            counts.update({"steps": 1, **step._asdict()})
            self._journal.told("stitch")
            unmerged += step.events
            if unmerged >= _EVENTS_UNMERGED:
                background.start("all", *self._beside)
                unmerged = 0
            if not more():
                return False
        return True

    def _follow(self, more: More) -> Iterator[tuple[str, Done]]:
        with ThreadPoolExecutor(max(1, len(self._beside)), thread_name_prefix="beside") as pool:
            apart = {
                name: pool.submit(self._done, partial(_at_once, prepare, more))
                for name, prepare in self._beside.items()
            }
            for name, follow in self._following.items():
                yield name, self._done(partial(follow, more))
            for name, future in apart.items():
                yield name, future.result()

    def _done(self, work: Callable[[], Followed]) -> Done:
        began, followed, detail = self._clock(), Followed({}), ""
        try:
            followed = work()
        except StoreUnavailable as error:
            detail = error.detail
        return Done(followed, round((self._clock() - began) / _MILLISECOND, 3), detail)


def _at_once(prepare: Beside, more: More) -> Followed:
    return prepare(more)()
