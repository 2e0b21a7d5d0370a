"""Ports on loopback: which are free, and who has one that is not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

HOST = "127.0.0.1"
_TRIES = 50
_LISTEN = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still being closed is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(preferred: int, taken: set[int]) -> int:
    """The preferred port, or the next free one after it; 0 is any."""
    candidates = range(preferred, preferred + _TRIES) if preferred else ()
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    while (port := _any()) in taken:
        pass
    return port


def _any() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def holder(port: int) -> str:
    """Who listens on a port, as a person would say it."""
    pid = _holder_from_proc(port) if Path("/proc/net/tcp").exists() else _holder_from_lsof(port)
    if pid is None:
        return "a process of another user"
    return f"{_command(pid)} (pid {pid})"


def _holder_from_proc(port: int) -> int | None:
    sockets = _listening(port)
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target in sockets:
            return int(entry.parts[2])
    return None


def _listening(port: int) -> set[str]:
    """The sockets that listen on a port, as the links below /proc/PID/fd name them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, address, _, state, *rest = line.split()
            if state == _LISTEN and int(address.rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{rest[5]}]")
    return found


def _holder_from_lsof(port: int) -> int | None:
    if not (lsof := shutil.which("lsof")):
        return None
    command = [lsof, "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return int(lines[0]) if lines else None


def _command(pid: int) -> str:
    command = ["ps", "-o", "args=", "-p", str(pid)]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return line[:100] or "a process"
