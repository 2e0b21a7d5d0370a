"""The turn to run the batches, or to do replays.

It is held by one at a time, wherever they run, and lost when its holder falls silent.

Asking and holding are rows that are written first and looked at then, so of two who ask at once at least one sees the
other, and goes. That may be wrong about time, where a clock jumps; so every statement that writes also looks who holds
the turn (`FENCE`), and whoever got it waits until no statement of another is at work any more.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from functions.measure.database import Database, one
from functions.shared.domain.series import SeriesTable
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import SeriesStore

_SECONDS = 30.0
_BEATS = 4
_POLL_SECONDS = 0.1
# So many times a turn's length its holder looks whether it still is its own.
_LOOKS = 30
MEASURE, REPLAY = "measure", "replay"


class LeaseLost(StoreUnavailable):
    """Another one runs the batches now: stop, it goes on from what is stored."""


class LeaseLostMeanwhile(LeaseLost):
    """Another one may have told the time-series store of something newer than what was just written there."""


def comment(lease_id: str, kind: str = MEASURE) -> str:
    """What the statements of a holder carry, by which others see them at work."""
    return f"{kind} {lease_id}"


class Lease:
    """One asker's turn. ``lease_id`` is a UUID of its own; ``clock`` is nanoseconds, ``sleep`` takes seconds.

    There is one turn of each ``kind``.
    """

    def __init__(
        self,
        database: Database,
        lease_id: str,
        clock: Callable[[], int],
        sleep: Callable[[float], None],
        seconds: float = _SECONDS,
        kind: str = MEASURE,
    ) -> None:
        self._kind = kind
        self._database, self._clock, self._sleep = database, clock, sleep
        self._seconds = seconds
        self.lease_id = lease_id
        self._done = threading.Event()
        self._lost = False
        self._heart: threading.Thread | None = None

    def acquire(self, wait_seconds: float = 0.0) -> bool:
        """Get the turn; waits for it for so long. False when another has it."""
        waited = 0.0
        while not self._ask():
            if waited >= wait_seconds:
                return False
            self._sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        self._note("held")
        self._await_idle()
        self._done.clear()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()
        return True

    def release(self) -> None:
        """Give the turn back."""
        self.fall_silent()
        self._note("released")

    def fall_silent(self) -> None:
        """Stop to renew the turn: it is lost in a while."""
        self._done.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None

    @property
    def look_seconds(self) -> float:
        """For how long a look at the turn may be relied on: a small part of what it lasts."""
        return self._seconds / _LOOKS

    def version(self) -> int:
        """A number above all before, to mark what is written. Raises :class:`LeaseLost`."""
        self._renew()
        sql = "SELECT max(number) FROM measure_leases WHERE lease_id = {lease:UUID}"
        return int(self._one(sql, {"lease": self.lease_id})[0])

    def check(self) -> None:
        """Raises :class:`LeaseLost` when another has the turn."""
        if self._lost:
            raise LeaseLost("Another one runs the batches now.")
        holder = self._one("SELECT argMax(lease_id, number) FROM measure_leases WHERE state = 'held'")[0]
        if holder != self.lease_id:
            self._lost = True
            raise LeaseLost("Another one runs the batches now.")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within it, something is written that does not look whose turn it is: that is done before and behind it.

        Raises :class:`LeaseLost`, and behind it, also where the writing failed, :class:`LeaseLostMeanwhile`: a request
        that nobody waits for any more may be carried out all the same.
        """
        self.check()
        try:
            yield
        finally:
            try:
                self.check()
            except LeaseLost as lost:
                raise LeaseLostMeanwhile(lost.detail) from lost

    def _ask(self) -> bool:
        """Whether nobody else has the turn or asks for it. Of several who ask, the first waits for the others to go."""
        self._note("asking")
        mine = int(self._one(_ASKED, {"lease": self.lease_id})[0])
        waited = 0.0
        given = {"lease": self.lease_id, "longest": int(self._seconds)}
        while others := list(self._database.rows(self._sql(_OTHERS), given)):
            before = [number for _, state, number in others if state == "held" or int(number) <= mine]
            if before or waited >= self._seconds:
                self._note("released")
                return False
            self._sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        return True

    def _renew(self) -> None:
        """Hold on to the turn, unless it is another's by now."""
        self._note("held", _STILL_MINE)
        self.check()

    def _note(self, state: str, only_if: str = "") -> None:
        given = {"lease": self.lease_id, "state": state, "clock": self._clock(), "ms": int(self._seconds * 1000)}
        self._database.run(self._sql(_NOTE + only_if), given)

    def _await_idle(self) -> None:
        """Return when nothing that another holder began is at work any more."""
        waited = 0.0
        given = {"own": comment(self.lease_id, self._kind), "prefix": comment("", self._kind)}
        while self._one(_AT_WORK, given)[0]:
            if waited >= self._seconds:
                self._note("released")
                raise StoreUnavailable("A batch that nobody waits for any more is still at work.")
            self._sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _one(self, sql: str, given: Mapping[str, Any] | None = None) -> list[Any]:
        return one(self._database, self._sql(sql), given)

    def _sql(self, sql: str) -> str:
        return sql.replace(f"{MEASURE}_leases", f"{self._kind}_leases")

    def _beat(self) -> None:
        while not self._done.wait(self._seconds / _BEATS):
            try:
                self._renew()
            except LeaseLost:
                return
            except StoreUnavailable:
                continue


class Leased:
    """A database whose statements only run while the turn is held. Raises :class:`LeaseLost`.

    Looking costs as much as many a statement does, so it is done again only after a small part of what a turn lasts.
    ``now`` is in seconds.
    """

    def __init__(self, database: Database, lease: Lease, now: Callable[[], float] = time.monotonic) -> None:
        self._database, self._lease, self._now = database, lease, now
        self._looked: float | None = None

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """See the port."""
        now = self._now()
        if self._looked is None or not 0 <= now - self._looked < self._lease.look_seconds:
            self._lease.check()
            self._looked = now
        self._database.run(sql, parameters)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """See the port."""
        return self._database.rows(sql, parameters)

    def text(self, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        """See the port."""
        return self._database.text(sql, parameters)


class LeasedSeries:
    """A series store into which rows go only while the turn is held. Raises :class:`LeaseLost`.

    That store cannot look itself, and who writes a row last is right there: who was halted with rows in hand would put
    old ones over what another told meanwhile. So before each request it is asked whose turn it is; and behind it once
    more, as who is halted in the midst of one has to leave a doubt (:mod:`functions.measure.doubts`).
    """

    def __init__(self, series: SeriesStore, lease: Lease) -> None:
        self._series, self._lease = series, lease

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        """See the port."""
        with self._lease.writing():
            self._series.write(table, rows)

    def write_lines(self, table: SeriesTable, lines: bytes) -> None:
        """See the port."""
        with self._lease.writing():
            self._series.write_lines(table, lines)

    def await_visible(self, *tables: SeriesTable) -> None:
        """See the port."""
        self._series.await_visible(*tables)

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See the port."""
        return self._series.query(sql, values)

    def ping(self) -> None:
        """See the port."""
        self._series.ping()


_NOTE = """INSERT INTO measure_leases (number, lease_id, state, expires_at)
SELECT greatest({clock:UInt64}, (SELECT max(number) FROM measure_leases) + 1,
    (SELECT max(version) FROM measure_progress) + 1), {lease:UUID}, {state:String},
    now64(3) + toIntervalMillisecond({ms:UInt64})"""
_STILL_MINE = """
WHERE (SELECT argMax(lease_id, number) FROM measure_leases WHERE state = 'held') = {lease:UUID}"""
_ASKED = "SELECT max(number) FROM measure_leases WHERE lease_id = {lease:UUID} AND state = 'asking'"
# One that expires later than a lease can is from before a clock was set back.
_OTHERS = """SELECT lease_id, argMax(state, number) AS last, maxIf(number, state = 'asking') FROM measure_leases
WHERE lease_id != {lease:UUID} GROUP BY lease_id
HAVING last != 'released' AND argMax(expires_at, number) > now64(3)
    AND argMax(expires_at, number) <= now64(3) + toIntervalSecond({longest:UInt32} + 1)"""
_AT_WORK = """SELECT count() FROM system.processes
WHERE startsWith(Settings['log_comment'], {prefix:String}) AND Settings['log_comment'] != {own:String}"""
