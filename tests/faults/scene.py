"""A fault at work: the rig, the witness that posts meanwhile, and what can be waited for."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from infra.local import commands
from tests.faults import account as accounts
from tests.faults.account import Account, Sent
from tests.faults.compare import missing, stored
from tests.faults.rig import KILLED_SECONDS, Rig
from tests.faults.witness import Plan
from tests.support.polling import until

_WITNESS = Path(__file__).with_name("witness.py")
_MORE_SECONDS = 120.0
_END_SECONDS = 240.0
# Who looks without a pause takes the time of what is looked at.
_PAUSE_SECONDS = 0.1


@dataclass
class Scene:
    """What a fault's act is given, and where it notes what it sent beside the witness.

    ``accepted``   events that are to count
    ``expected``   events that are to fail visibly
    ``unsure``     events that may be stored or not
    ``dead``       events that are to be among the dead letters
    ``other_dead`` how many dead letters there are to be that hold no event
    ``strangers``  how many failed rows there are to be that nobody sent as an event
    """

    rig: Rig
    name: str
    file: Path
    began: float = field(default_factory=time.time)
    accepted: dict[str, Sent] = field(default_factory=dict)
    expected: dict[str, Sent] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    other_dead: int = 0
    strangers: int = 0

    def account(self) -> Account:
        """What the witness has written by now, and what the act expects."""
        found = accounts.read(self.file)
        found.counted |= self.accepted
        found.failed |= self.expected
        found.unsure |= self.unsure
        return found

    def more(self, events: int) -> None:
        """Until so many more events are acknowledged."""
        wanted = accounts.read(self.file).acknowledged + events

        def enough() -> bool:
            return accounts.read(self.file).acknowledged >= wanted

        until(enough, _MORE_SECONDS, f"{events} more acknowledged events", _PAUSE_SECONDS)

    def refused(self, requests: int) -> None:
        """Until so many more requests were refused, or got no answer."""
        since = time.time()

        def enough() -> bool:
            statuses = accounts.read(self.file).statuses(since)
            return statuses[503] + statuses[0] >= requests

        until(enough, _MORE_SECONDS, f"{requests} refused requests", _PAUSE_SECONDS)

    def waiting(self, events: int) -> None:
        """Until so many acknowledged events are not stored; the store has to answer."""

        def enough() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return len(missing(self.account(), stored(self.rig, self.began - 1))) >= events
            return False

        until(enough, _MORE_SECONDS, f"{events} events that wait", _PAUSE_SECONDS)

    def lasting(self, seconds: float, short_seconds: float) -> None:
        """Let it last: this is the fault, and nothing is waited for."""
        time.sleep(short_seconds if self.rig.short else seconds)


@contextlib.contextmanager
def witnessed(rig: Rig, name: str, seed: int, clocks: list[float]) -> Iterator[Scene]:
    """A scene with a witness at work; at the end it has settled all that it was owed."""
    file = rig.folder / f"{name}.jsonl"
    scene = Scene(rig, name, file)
    plan = json.dumps(Plan(rig.base_url, name, str(file), seed, clocks).__dict__)
    process = subprocess.Popen(commands.tethered([sys.executable, "-I", str(_WITNESS), plan]))
    try:
        yield scene
        process.terminate()
        process.wait(_END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(KILLED_SECONDS)
