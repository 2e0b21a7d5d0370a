"""Notifications as lines of JSON in a file of this machine, to be looked at; the laptop stack's way."""

import json
from pathlib import Path

from functions.shared.domain import notification
from functions.shared.domain.notification import Notification
from functions.shared.errors import SinkUnavailable

_MOST_BYTES = 1_000_000


class FileSink:
    """Appends. A full file is set aside, and replaces the one set aside before."""

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path, self._most = path, most_bytes

    def send(self, told: Notification) -> None:
        """See the port. What came already is not written again."""
        try:
            self._append(told)
        except OSError as error:
            raise SinkUnavailable(f"The file cannot be written: {type(error).__name__}.") from error

    def _append(self, told: Notification) -> None:
        kept = self._path.read_text() if self._path.exists() else ""
        line = json.dumps({**notification.machine(told), "text": notification.text(told)}) + "\n"
        if line in kept:
            return
        if len(kept) > self._most:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(line)
