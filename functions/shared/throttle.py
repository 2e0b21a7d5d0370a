"""Who is too fast: requests by address and key, events by key, and a day's quota. Without a limiter, nobody is."""

import hashlib
import math
from collections.abc import Callable

from functions.shared.domain import rates
from functions.shared.domain.keys import Key
from functions.shared.domain.rates import WINDOW_SECONDS, Allowance
from functions.shared.errors import LimiterUnavailable, QuotaExceeded, RateLimited
from functions.shared.ports import Counters


class Throttle:
    """Holds against limits. ``absent`` is told when the limiter is away; then everything is let through.

    ``clock`` is nanoseconds; ``address_requests`` the requests a second of one address, ``crowded_events`` the events a
    second of one key while the queue fills, 0 is no limit.
    """

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], int],
        absent: Callable[[], None],
        address_requests: int = 0,
        crowded_events: int = 0,
    ) -> None:
        self._counters, self._clock, self._absent = counters, clock, absent
        self._address_requests = address_requests
        self._crowded_events = crowded_events

    def address(self, address: str) -> Allowance | None:
        """One more request of an address. Raises :class:`RateLimited`."""
        source = rates.network(address)
        if not self._address_requests or not source:
            return None
        # Who keeps the counts needs to know nobody's address.
        name = hashlib.sha256(source.encode()).hexdigest()[:24]
        return self._requests(f"address:{name}", self._address_requests, "This address asks too often.")

    def request(self, key: Key) -> Allowance | None:
        """One more request with a key. Raises :class:`RateLimited`."""
        if not key.requests_per_second:
            return None
        return self._requests(f"requests:{key.key_id}", key.requests_per_second, "This key asks too often.")

    def rate(self, key: Key, events: int) -> Allowance | None:
        """So many more events written with a key, all or none: whether its rate allows them."""
        if not key.events_per_second:
            return None
        limit = key.events_per_second * WINDOW_SECONDS
        # A batch over the whole of it would never be let through: it takes all there is.
        return self._asked(
            lambda: self._counters.take(f"events:{key.key_id}", limit, WINDOW_SECONDS, min(events, limit))
        )

    def share(self, key: Key, events: int, room: float) -> Allowance | None:
        """So many more events of a key while the queue fills, all or none: whether they are within its share.

        ``room`` is how much is left, from 1 (then nobody is held to it) to 0: the less, the more an event weighs.
        """
        if room >= 1 or not self._crowded_events:
            return None
        limit = self._crowded_events * WINDOW_SECONDS
        weight = math.ceil(min(events / room, limit)) if room > 0 else limit
        found = self._asked(lambda: self._counters.take(f"share:{key.key_id}", limit, WINDOW_SECONDS, weight))
        # Told in events as they weigh now.
        return found and found._replace(limit=int(limit * room), remaining=int(found.remaining * room))

    def quota(self, key: Key, events: int) -> Allowance | None:
        """So many more events of a key's day, all or none. Raises :class:`QuotaExceeded`."""
        if not key.daily_events:
            return None
        day, left = rates.day(self._clock())
        found = self._asked(
            lambda: self._counters.spend(f"day:{key.key_id}:{day}", key.daily_events, rates.DAY_SECONDS, events)
        )
        if found is None:
            return None
        found = found._replace(reset_seconds=left)
        if not found.allowed:
            detail = f"That is over the key's {key.daily_events} events a day; {found.remaining} are left of today."
            raise QuotaExceeded(detail, left, rates.headers([found]))
        return found

    def _requests(self, what: str, a_second: int, detail: str) -> Allowance | None:
        limit = a_second * WINDOW_SECONDS
        found = self._asked(lambda: self._counters.take(what, limit, WINDOW_SECONDS, 1))
        if found is not None and not found.allowed:
            raise RateLimited(detail, found.reset_seconds, rates.headers([found]))
        return found

    def _asked(self, ask: Callable[[], Allowance]) -> Allowance | None:
        try:
            return ask()
        except LimiterUnavailable:
            self._absent()
            return None
