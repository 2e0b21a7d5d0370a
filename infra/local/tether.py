"""`python tether.py PARENT COMMAND…`: become the command, and be ended by the kernel when the parent ends.

A file of its own and not a hook between fork and exec, since the parent has threads. Where the kernel has no such
signal (macOS), the guardian alone ties the lives together.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended first")
    os.execvp(command[0], command)  # noqa: S606  no shell is wanted


main()
