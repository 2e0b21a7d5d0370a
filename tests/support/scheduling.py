"""Which tests one of several processes runs one after the other: those that share what takes long to start."""

import re

from xdist.scheduler import LoadFileScheduling

# A stack or an emulator lives for the session of a process, and a parameter of the test's name says which it is.
_STACKS = re.compile(r"^tests/e2e/.*\[(?:.*\W)?(nats|sqs)\b")
_LOCALSTACK = re.compile(r"\[(?:.*\W)?localstack\b")


class ByEngines(LoadFileScheduling):
    """By file, but all end-to-end tests of one broker's stack together, and all that are on LocalStack."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """What a test is grouped by."""
    if stack := _STACKS.search(nodeid):
        return f"stack on {stack[1]}"
    return "localstack" if _LOCALSTACK.search(nodeid) else nodeid.split("::", 1)[0]
