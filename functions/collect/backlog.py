"""Shedding: while too much waits in the queue, nothing more is taken, before anything of a request is accepted."""

from collections.abc import Callable

from functions.shared.domain.instants import SECOND
from functions.shared.errors import Overloaded, QueueUnavailable
from functions.shared.ports import Backlog

_FRESH_NS = SECOND
# A broker that does not answer is not asked by each request.
_AGAIN_NS = 5 * SECOND
_AFTER_SECONDS = 5
# Of a bound the part that is left to whoever comes first; what is above it, the keys share.
_FREE = 0.75


class Shedder:
    """Knows of the backlog as it was a second ago, and never asks for each request.

    ``look`` asks the broker; a bound of 0 is none. ``shed`` is told of each request that is turned away. A broker that
    does not answer is no reason to turn anybody away: publishing tells of that by itself.
    """

    def __init__(
        self,
        look: Callable[[], Backlog],
        most_messages: int,
        most_bytes: int,
        clock: Callable[[], int],
        shed: Callable[[], None],
    ) -> None:
        self._look, self._clock, self._shed = look, clock, shed
        self._most_messages, self._most_bytes = most_messages, most_bytes
        self._looked_at, self._good_for = 0, 0
        self._full = False
        self._room = 1.0

    @property
    def room(self) -> float:
        """How much is left of what the keys share, as of the last check: from 1, as long as no more than three
        quarters of the bound wait, to 0 at the bound."""
        return self._room

    def check(self) -> None:
        """Before anything of a request is taken. Raises :class:`Overloaded`."""
        if self._most_messages or self._most_bytes:
            now = self._clock()
            if not 0 <= now - self._looked_at < self._good_for:
                self._refresh(now)
        if self._full:
            self._shed()
            raise Overloaded(
                "Too much waits to be processed; nothing was accepted. Send the same again.", _AFTER_SECONDS
            )

    def _refresh(self, now: int) -> None:
        self._looked_at = now
        try:
            found = self._look()
        except QueueUnavailable:
            self._full, self._room, self._good_for = False, 1.0, _AGAIN_NS
            return
        used = max(_part(found.messages, self._most_messages), _part(found.bytes, self._most_bytes))
        self._full, self._room = used >= 1, max(0.0, min(1.0, (1 - used) / (1 - _FREE)))
        self._good_for = _FRESH_NS


def _part(count: int, most: int) -> float:
    return count / most if most else 0.0
