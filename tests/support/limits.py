"""Limits for tests: counts that are right and simple, and nobody who is held to any."""

from collections import Counter

from functions.collect.admission import Admission
from functions.collect.backlog import Shedder
from functions.shared.domain.rates import Allowance
from functions.shared.errors import LimiterUnavailable
from functions.shared.ports import Backlog
from functions.shared.throttle import Throttle


class FakeCounters:
    """Implements :class:`~functions.shared.ports.Counters`: windows end when a test says so."""

    def __init__(self) -> None:
        self.available = True
        self._taken: Counter[str] = Counter()

    def take(self, what: str, limit: int, window_seconds: int, cost: int) -> Allowance:
        """See the port."""
        if not self.available:
            raise LimiterUnavailable("Away.")
        allowed = self._taken[what] + cost <= limit
        self._taken[what] += cost * allowed
        return Allowance(allowed, limit, limit - self._taken[what], 3)

    spend = take

    def pass_time(self) -> None:
        """Every window is over."""
        self._taken.clear()


def ignored(*_: object) -> None:
    """Nobody is told."""


UNLIMITED = Throttle(FakeCounters(), lambda: 0, ignored)
FREE = Admission(UNLIMITED, Shedder(lambda: Backlog(0, 0), 0, 0, lambda: 0, ignored), ignored)
