"""Counts against limits by the library `limits`: in this process, or in Redis or Valkey for all functions together."""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from functions.shared.domain.rates import Allowance
from functions.shared.errors import LimiterUnavailable, Misconfigured

# A limiter that is slow is worse than none.
_SECONDS = 0.25
# So long is one that was away not asked again.
_AGAIN_SECONDS = 1.0
_SPACE = "weir"
_TIDY_SECONDS = 10.0


class _Asleep:
    """A timer that is always at work."""

    def is_alive(self) -> bool:
        return True


class LimitsCounters:
    """Implements :class:`~functions.shared.ports.Counters`. An empty ``url`` counts in this process alone."""

    def __init__(self, url: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock = url, clock
        self._sliding: Any = None
        self._fixed: Any = None
        self._forget: Callable[[], None] | None = None
        self._tidied_at = 0.0
        self._away_until = 0.0
        # In memory, looking and counting are two steps.
        self._turn = threading.Lock() if not url else contextlib.nullcontext()

    def take(self, what: str, limit: int, window_seconds: int, cost: int) -> Allowance:
        """See the port. The window slides."""
        return self._counted(lambda: self._take(self._sliding, what, limit, window_seconds, cost))

    def spend(self, what: str, limit: int, window_seconds: int, cost: int) -> Allowance:
        """See the port. What is refused is not counted."""
        return self._counted(lambda: self._take(self._fixed, what, limit, window_seconds, cost, ask=True))

    def _take(self, strategy: Any, what: str, limit: int, seconds: int, cost: int, ask: bool = False) -> Allowance:
        from limits import RateLimitItemPerSecond

        item = RateLimitItemPerSecond(limit, seconds, namespace=_SPACE)
        # A fixed window counts also what it refuses: asked first, it does so only for who comes in between.
        allowed = (not ask or strategy.test(item, what, cost=cost)) and strategy.hit(item, what, cost=cost)
        stats = strategy.get_window_stats(item, what)
        reset = min(seconds, max(1, math.ceil(stats.reset_time - time.time())))
        return Allowance(allowed, limit, max(0, int(stats.remaining)), reset)

    def _counted(self, count: Callable[[], Allowance]) -> Allowance:
        from limits.errors import StorageError

        if self._clock() < self._away_until:
            raise LimiterUnavailable("The limiter was away a moment ago.")
        try:
            with self._turn:
                self._connect()
                self._tidy()
                return count()
        except StorageError as error:
            self._away_until = self._clock() + _AGAIN_SECONDS
            raise LimiterUnavailable(f"The limiter is away: {type(error.storage_error).__name__}.") from error

    def _tidy(self) -> None:
        if self._forget is not None and self._clock() - self._tidied_at > _TIDY_SECONDS:
            self._tidied_at = self._clock()
            self._forget()

    def _connect(self) -> None:
        if self._sliding is not None:
            return
        # A tenth of a second to import, for those alone whose keys have limits.
        from limits.errors import ConfigurationError
        from limits.storage import storage_from_string
        from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

        # Each client of a store has errors of its own; wrapped they are one.
        options: dict[str, Any] = {"wrap_exceptions": True}
        if self._url:
            options |= {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
        try:
            storage: Any = storage_from_string(self._url or "memory://", **options)
        except (ConfigurationError, ValueError):
            # A port that is no number is a ValueError of its own.
            raise Misconfigured("WEIR_LIMITS_URL: no address of a store such as redis://host:6379") from None
        if not self._url:
            # In memory it would start a thread at each count, to forget what is over.
            self._forget, storage.timer = storage.timer.function, _Asleep()
        self._fixed, self._sliding = FixedWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
