"""The room that is left where the data is.

The engine passes over a write that found the disk full: it takes the insert, and its part cannot be read. It finds
such a part when it starts, and then does without it. So once there was no room nothing that was being written is
acknowledged, and the door ends, to be started anew: before the parts that a merge was made of are removed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from .errors import NOT_ENOUGH_SPACE, DoorError

# What the engine itself asks for before it begins to write: only who had begun by then can meet the end of the disk.
_FULL_BYTES = 1 << 20
_LOOK_SECONDS = 0.02


class Space:
    """Knows whether the disk was full since there was room on it: one that starts without room has nothing in hand."""

    def __init__(self, folder: Path, ended: Callable[[], None]) -> None:
        """``ended`` is called once, when the room has come to its end."""
        self._folder, self._ended = folder, ended
        self._had_room = threading.Event()
        self._was_full = threading.Event()

    def start(self) -> None:
        """Look from now on."""
        self._look()
        threading.Thread(target=self._watch, name="space", daemon=True).start()

    def check(self) -> None:
        """After something was written, and before that is acknowledged. Raises :class:`DoorError`."""
        self._look()
        if self._was_full.is_set():
            raise DoorError(NOT_ENOUGH_SPACE, "NOT_ENOUGH_SPACE", "The disk was full while it was written")

    def _watch(self) -> None:
        pause = threading.Event()
        while not self._was_full.is_set():
            # Who cannot be asked now is asked again; what waits for an acknowledgement fails meanwhile.
            with contextlib.suppress(OSError):
                self._look()
            pause.wait(_LOOK_SECONDS)
        self._ended()

    def _look(self) -> None:
        found = os.statvfs(self._folder)
        # A file system that counts its files has no room without one either.
        if found.f_bavail * found.f_frsize >= _FULL_BYTES and (found.f_favail or not found.f_files):
            self._had_room.set()
        elif self._had_room.is_set():
            self._was_full.set()
