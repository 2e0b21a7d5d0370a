"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable


def until(
    condition: Callable[[], bool], seconds: float = 10.0, what: str = "the condition", pause_seconds: float = 0.01
) -> None:
    """Poll until it holds; fails when it does not within ``seconds``. What costs much to ask wants a longer pause."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(pause_seconds)
