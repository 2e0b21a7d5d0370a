"""``wait=stored``: looks for an event until both of its rows can be read, or it failed."""

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from functions.shared.errors import NotFound, StoreUnavailable

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.4


class Found(Protocol):
    """Reads one event of an environment in both forms; raises :class:`NotFound` while there is none."""

    def __call__(self, event_id: str, environment: str) -> bytes:
        """``{"raw": …, "processed": …}`` as JSON."""
        ...


class Waiter:
    """Polls with growing pauses, for at most ``seconds``."""

    def __init__(
        self,
        find: Found,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._seconds = seconds
        self._sleep = sleep
        self._monotonic = monotonic

    def wait(self, event_id: str, batch_id: str, environment: str) -> dict[str, Any] | None:
        """Both forms of the event once its fate is known; at the deadline what stands there, None when nothing does.

        A failed row of another batch says nothing of this delivery, which may be good and replace it.
        """
        deadline = self._monotonic() + self._seconds
        pause = _FIRST_PAUSE_SECONDS
        standing: dict[str, Any] | None = None
        while self._monotonic() < deadline:
            try:
                found: dict[str, Any] = json.loads(self._find(event_id, environment))
                if _is_settled(found, batch_id):
                    return found
                standing = found
            except (NotFound, StoreUnavailable):
                pass
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        return standing


def _is_settled(found: dict[str, Any], batch_id: str) -> bool:
    raw = found.get("raw")
    if raw is None:
        return False
    if found.get("processed") is not None:
        return True
    # A raw row alone is no verdict: on a replica it may be readable before the processed one.
    return (raw["processing_status"], raw["batch_id"]) == ("failed", batch_id)
