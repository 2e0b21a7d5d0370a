"""The dead letters of the queue in memory: the fake that their collecting is tested with."""

from collections.abc import Sequence

from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.ports import DeadMessage


class MemoryDeadLetters:
    """Implements :class:`~functions.shared.ports.DeadMessages` over a memory queue."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    def take(self, limit: int, after: int = 0) -> list[DeadMessage]:
        """See the port."""
        self._queue.depth()
        letters = enumerate(self._queue.dead_letters, 1)
        return [
            DeadMessage(one.body, one.cause, one.attempts, one.queued_at, one.dead_at, one.id, place, one)
            for place, one in letters
            if place > after
        ][:limit]

    def remove(self, messages: Sequence[DeadMessage]) -> None:
        """See the port."""
        self._queue.depth()
        for each in messages:
            if each.handle in self._queue.dead_letters:
                self._queue.dead_letters.remove(each.handle)
