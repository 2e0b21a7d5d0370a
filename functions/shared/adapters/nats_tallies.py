"""The tallies that the broker made of the events' messages, taken from their own stream."""

from functions.shared.adapters.nats_names import TALLIES, TALLY
from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.ports import Received
from functions.shared.settings import QueueSettings

_WAIT_SECONDS = 0.2


class NatsTallies:
    """Implements :class:`~functions.shared.ports.Tallies`. Its consumer takes one word for all that came before."""

    def __init__(self, settings: QueueSettings) -> None:
        self._queue = NatsQueue(settings, names=TALLIES)
        self._last: Received | None = None

    def take(self, limit: int) -> list[str]:
        """See the port. What a message of another kind left is taken and says nothing."""
        taken = self._queue.receive(limit, _WAIT_SECONDS)
        self._last = taken[-1] if taken else None
        return [(each.handle.message.headers or {}).get(TALLY, "") for each in taken]

    def done(self) -> None:
        """See the port."""
        if self._last is not None:
            self._queue.ack(self._last)
            self._last = None

    def close(self) -> None:
        """Close the connection."""
        self._queue.close()
