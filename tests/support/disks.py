"""Small file systems of their own, filled to the last byte, where this user may make one."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where file systems can be mounted, a test of a full disk may not skip.
REQUIRE = "WEIR_REQUIRE_DISKS"
PAGE_BYTES = 4096
_PIECE = b"\0" * 65536


@contextlib.contextmanager
def small(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size at a folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)(f"no file system can be mounted: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


@contextlib.contextmanager
def filled(disk: Path, left_pages: int = 0) -> Iterator[None]:
    """While inside, no more than so many pages are free on it."""
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    size = found.f_bavail * found.f_frsize - left_pages * PAGE_BYTES
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while not left_pages or file.tell() < size:
                file.write(_PIECE[: size - file.tell()] if left_pages else _PIECE)
        yield
    finally:
        ballast.unlink()
