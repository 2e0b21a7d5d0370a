"""How much runs at once: a bounded number of queries, the others wait their turn or are sent away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import TOO_MANY_SIMULTANEOUS_QUERIES, DoorError


class Gate:
    """Lets `capacity` queries run; one more waits up to `wait_seconds`; a closed gate lets nobody in."""

    def __init__(self, capacity: int, wait_seconds: float) -> None:
        self._capacity = capacity
        self._wait_seconds = wait_seconds
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing runs; False if something still does after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout=seconds)

    def _enter(self) -> None:
        until = time.monotonic() + self._wait_seconds
        with self._changed:
            while not self._closed and self._running >= self._capacity:
                if not self._changed.wait(until - time.monotonic()):
                    break
            if self._closed:
                raise _refused("The server is shutting down")
            if self._running >= self._capacity:
                raise _refused(f"Too many simultaneous queries. Maximum: {self._capacity}")
            self._running += 1


def _refused(message: str) -> DoorError:
    return DoorError(TOO_MANY_SIMULTANEOUS_QUERIES, "TOO_MANY_SIMULTANEOUS_QUERIES", message)
