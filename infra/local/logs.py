"""The services' log files: bounded, and quoted when something went wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

_MOST_BYTES = 5 << 20
_QUOTED_LINES = 15
_QUOTED_BYTES = 8_192


def tail(path: Path, lines: int = _QUOTED_LINES) -> str:
    """The last lines of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _QUOTED_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def bound(folder: Path) -> None:
    """Move what has grown too long aside; the one before it goes.

    Copied and emptied, since the service has the file open; it appends, so it goes on at the new end.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > _MOST_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            with log.open("r+b") as file:
                file.truncate(0)
