"""The queue in memory: the fake that the services are tested with. It promises what the real ones promise."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from functions.shared.errors import QueueUnavailable, TooLarge
from functions.shared.ports import Backlog, Depth, Message, Published, Received

_POLL_SECONDS = 0.005


class DeadLetter(NamedTuple):
    """A message that was given up, and why."""

    id: str
    body: bytes
    attempts: int
    cause: str
    queued_at: int = 0
    dead_at: int = 0


@dataclass
class _Entry:
    message: Message
    queued_at: int
    visible_at: float
    attempts: int = 0
    in_hand: bool = False


class MemoryQueue:
    """Implements :class:`~functions.shared.ports.Queue`. Set ``available`` to False to play a broker that is away."""

    def __init__(
        self,
        max_message_bytes: int = 1024 * 1024,
        max_attempts: int = 5,
        ack_wait_seconds: float = 90.0,
        duplicate_window_seconds: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = max_message_bytes
        self._max_attempts = max_attempts
        self._ack_wait = ack_wait_seconds
        self._window = duplicate_window_seconds
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._seen: dict[str, float] = {}
        self._next = 0
        self._lock = threading.Lock()
        self.dead_letters: list[DeadLetter] = []
        self.tallies: list[str] = []
        self.available = True

    @property
    def max_message_bytes(self) -> int:
        """See the port."""
        return self._limit

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """See the port. A message over the limit raises :class:`TooLarge` before any is queued."""
        self._check()
        if any(len(message.body) > self._limit for message in messages):
            raise TooLarge("message_too_large", f"A queue message may have {self._limit} bytes.")
        with self._lock:
            return [self._publish(message) for message in messages]

    def note(self, message: Message) -> None:
        """See the port."""
        self._check()
        with self._lock:
            self.tallies.append(message.tally)

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """See the port. ``queued_at`` is in nanoseconds since the epoch."""
        until = time.monotonic() + wait_seconds
        while True:
            self._check()
            with self._lock:
                found = self._take(limit)
            if found or time.monotonic() >= until:
                return found
            time.sleep(_POLL_SECONDS)

    def ack(self, received: Received) -> None:
        """See the port."""
        self._check()
        with self._lock:
            self._entries.pop(received.handle, None)

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """See the port."""
        self._check()
        with self._lock:
            entry = self._entries.get(received.handle)
            if entry is None:
                return received.attempt >= self._max_attempts
            if received.attempt < self._max_attempts:
                entry.visible_at, entry.in_hand = self._clock() + after_seconds, True
                return False
            del self._entries[received.handle]
            letter = DeadLetter(
                entry.message.id, entry.message.body, received.attempt, cause, entry.queued_at, time.time_ns()
            )
            self.dead_letters.append(letter)
            return True

    def depth(self) -> Depth:
        """See the port. A message that waits for its retry counts as in flight."""
        self._check()
        with self._lock:
            in_hand = sum(entry.in_hand for entry in self._entries.values())
            return Depth(len(self._entries) - in_hand, in_hand, len(self.dead_letters))

    def backlog(self) -> Backlog:
        """See the port."""
        self._check()
        with self._lock:
            return Backlog(len(self._entries), sum(len(entry.message.body) for entry in self._entries.values()))

    def oldest_at(self) -> int | None:
        """See the port."""
        self._check()
        with self._lock:
            return min((entry.queued_at for entry in self._entries.values()), default=0)

    def close(self) -> None:
        """Nothing to close."""

    def _check(self) -> None:
        if not self.available:
            raise QueueUnavailable("The queue is away.")

    def _publish(self, message: Message) -> Published:
        now = self._clock()
        self._seen = {known: at for known, at in self._seen.items() if now - at < self._window}
        if message.id in self._seen:
            return Published(True, "")
        self._seen[message.id] = now
        self._entries[self._next] = _Entry(message, time.time_ns(), now)
        self._next += 1
        self.tallies += [message.tally] if message.tally else []
        return Published(False, "")

    def _take(self, limit: int) -> list[Received]:
        now = self._clock()
        found: list[Received] = []
        for handle, entry in self._entries.items():
            if len(found) == limit:
                break
            if entry.visible_at <= now:
                entry.attempts, entry.in_hand, entry.visible_at = entry.attempts + 1, True, now + self._ack_wait
                found.append(Received(entry.message.body, entry.attempts, entry.queued_at, handle, str(handle)))
        return found
