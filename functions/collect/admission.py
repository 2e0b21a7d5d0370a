"""Whether a request's events may be taken now, and by which lane: asked once they are counted, before judging them."""

from collections.abc import Mapping
from typing import NamedTuple

from functions.collect.backlog import Shedder
from functions.collect.drops import DropReason, Drops
from functions.shared.domain import rates
from functions.shared.domain.keys import Key
from functions.shared.domain.rates import Allowance
from functions.shared.errors import QuotaExceeded, RateLimited
from functions.shared.throttle import Throttle


class Admitted(NamedTuple):
    """What the key has left, and whether its events are to wait behind those of others."""

    allowances: tuple[Allowance, ...] = ()
    slow: bool = False


class Admission:
    """Holds against the backlog, the key's rate and its quota.

    ``slow`` is the slow lane's own backlog: while that is full, only what would have to wait in it is turned away.
    """

    def __init__(self, throttle: Throttle, shedder: Shedder, drops: Drops, slow: Shedder | None = None) -> None:
        self._throttle, self._shedder, self._drops, self._slow = throttle, shedder, drops, slow

    def check(self) -> None:
        """Before the body is read. Raises :class:`Overloaded`."""
        self._shedder.check()

    def left_out(self, key: Key, dropped: Mapping[DropReason, int]) -> None:
        """Events of a request were dropped, the others taken."""
        for reason, events in dropped.items():
            self._drops(key.key_id, reason, events)

    def admit(self, key: Key, events: int) -> Admitted:
        """So many events, all or none. Raises :class:`RateLimited`, :class:`QuotaExceeded`, :class:`Overloaded`."""
        rate = self._throttle.rate(key, events)
        slow = rate is not None and not rate.allowed
        if rate is not None and slow and not key.slow_lane:
            raise self._refused(key, "rate", events, rate, f"the key's {key.events_per_second} events a second")
        # What waits in a lane of its own takes no room from anybody.
        share = None if slow and self._slow is not None else self._throttle.share(key, events, self._shedder.room)
        if share is not None and not share.allowed:
            if not key.slow_lane or self._slow is None:
                raise self._refused(key, "share", events, share, "the key's share while much waits to be processed")
            slow = True
        if slow and self._slow is not None:
            self._slow.check()
        try:
            quota = self._throttle.quota(key, events)
        except QuotaExceeded:
            self._drops(key.key_id, "quota", events)
            raise
        return Admitted(tuple(one for one in (rate, share, quota) if one is not None), slow)

    def _refused(self, key: Key, reason: DropReason, events: int, held: Allowance, over: str) -> RateLimited:
        self._drops(key.key_id, reason, events)
        return RateLimited(f"That is over {over}.", held.reset_seconds, rates.headers([held]))
