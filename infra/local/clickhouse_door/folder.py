"""Who owns the data folder: one process, known by a lock that the kernel drops when it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_OWN_LOCK = "door.lock"
# The engine's own lock. A leftover after a crash is no obstacle: only a live process holds it.
_ENGINE_LOCK = "status"


class FolderTaken(Exception):
    """The folder belongs to another live process."""


def claim(data: Path) -> int:
    """Take the folder for this process; the lock lives as long as the returned descriptor."""
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data / _OWN_LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    if not _lock(descriptor):
        holder = os.pread(descriptor, 20, 0).decode().strip()
        os.close(descriptor)
        raise FolderTaken(f"{data} is in use by another process (pid {holder or 'unknown'})")
    # Of one length, and never cut: where the disk is full what stands there can still be written over.
    os.pwrite(descriptor, f"{os.getpid():<19}\n".encode(), 0)
    _check_engine_lock(data)
    return descriptor


def _check_engine_lock(data: Path) -> None:
    """See whether something other than a door (a notebook, a script) has the engine open on this folder."""
    if not (data / _ENGINE_LOCK).exists():
        return
    descriptor = os.open(data / _ENGINE_LOCK, os.O_RDWR)
    try:
        if not _lock(descriptor):
            raise FolderTaken(f"{data} is in use by another chDB process")
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
