"""Which tests one of several processes runs one after the other: those that share what takes long to start."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# A stack or an emulator lives for the session of a process, and a parameter of the test's name says which it is.
_STACKS = re.compile(r"^tests/e2e/.*\[(?:.*\W)?(nats|sqs)\b")
_LOCALSTACK = re.compile(r"\[(?:.*\W)?localstack\b")


class ByEngines(LoadFileScheduling):
    """By file, but all end-to-end tests of one broker's stack together, and all that are on LocalStack."""

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what a process found."""
        refuse_twins(collection)
        super().add_node_collection(node, collection)

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """What a test is grouped by."""
    if stack := _STACKS.search(nodeid):
        return f"stack on {stack[1]}"
    return "localstack" if _LOCALSTACK.search(nodeid) else nodeid.split("::", 1)[0]


def refuse_twins(nodeids: Iterable[str]) -> None:
    """Raise where several tests have one name: several processes would run one of them, and nobody would notice."""
    twins = sorted(name for name, times in Counter(nodeids).items() if times > 1)
    if twins:
        raise pytest.UsageError(f"several tests have one name, and only one of them would run: {', '.join(twins)}")
