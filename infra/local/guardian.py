"""`python guardian.py`: outlives the stack by a moment, to end what the stack could not end when it was killed.

It reads lines from the stack (`+PID` started, `-PID` ended) until the pipe closes, which it does however the
stack ends. Then it ends the process group of each child that is still there: politely, and after a while by force.
"""

import os
import signal
import sys
import time

_POLITE_SECONDS = 6.0
_POLL_SECONDS = 0.05


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        groups.add(pid) if line[0] == "+" else groups.discard(pid)
    groups = {group for group in groups if _signal(group, signal.SIGTERM)}
    deadline = time.monotonic() + _POLITE_SECONDS
    while groups and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        groups = {group for group in groups if _signal(group, 0)}
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether the group was there to be signalled."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


main()
