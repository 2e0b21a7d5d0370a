"""Run one fault: load, break, mend, wait until all is stored, measure, compare."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass, field

import httpx

from infra.local.functions import client_errors
from tests.faults import ledger
from tests.faults.account import Account
from tests.faults.compare import compare, missing, stored
from tests.faults.matrix import Fault
from tests.faults.rig import Rig
from tests.faults.scene import Scene, witnessed
from tests.support.polling import until

_AROUND = 100
_STORED_SECONDS, _QUIET_SECONDS, _MEASURED_SECONDS = 240.0, 240.0, 240.0
# Who asks without a pause takes the time of what is asked about.
_ASKED_AGAIN_SECONDS, _INVOKED_AGAIN_SECONDS = 0.1, 1.0


@dataclass
class Outcome:
    """What became of a fault. ``recovery_seconds``: from when it was mended until all acknowledged was stored."""

    fault: Fault
    skipped: str = ""
    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    refused_meanwhile: int = 0
    lost: int = 0
    twice: int = 0
    recovery_seconds: float = 0.0
    seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


def run(rig: Rig, fault: Fault, seed: int) -> Outcome:
    """Run a fault. Whatever goes wrong on the way is a problem of the outcome, not an error."""
    outcome = Outcome(fault)
    if fault.needs_disks and rig.no_disks:
        outcome.skipped = rig.no_disks
        return outcome
    began = time.monotonic()
    try:
        _run(rig, fault, seed, outcome)
    except (AssertionError, OSError, httpx.HTTPError, subprocess.SubprocessError, *client_errors()) as error:
        outcome.problems.append(f"{type(error).__name__}: {error}")
    finally:
        rig.plainly()
    if outcome.problems:
        # What it broke for good must not be held against the next.
        rig.kill_everything()
        rig.start()
        _start_anew(rig)
    outcome.seconds = time.monotonic() - began
    return outcome


def _run(rig: Rig, fault: Fault, seed: int, outcome: Outcome) -> None:
    with witnessed(rig, fault.name, seed, list(fault.clocks)) as scene:
        scene.more(_AROUND)
        broken = time.time()
        fault.act(scene)
        rig.plainly()
        mended = time.time()
        meanwhile = scene.account().statuses(broken, mended)
        outcome.refused_meanwhile = meanwhile[503] + meanwhile[429] + meanwhile[0]
        scene.more(_AROUND)
    account = scene.account()
    _settle(rig, scene, account)
    outcome.recovery_seconds = time.time() - mended
    stored_at = time.time()
    _quiet(rig)
    quiet_at = time.time()
    _measure(rig)
    measured_at = time.time()
    _tell(outcome, scene, account)
    if fault.refuses and not outcome.refused_meanwhile:
        outcome.problems.append("no request was refused while it was broken: the fault had no bite")
    findings = compare(rig, scene, account)
    outcome.lost, outcome.twice = len(findings.lost), len(findings.twice)
    outcome.problems += findings.problems
    outcome.spent = {
        "load": broken - scene.began,
        "fault": mended - broken,
        "settle": stored_at - mended,
        "quiet": quiet_at - stored_at,
        "measure": measured_at - quiet_at,
        "compare": time.time() - measured_at,
    }


def _start_anew(rig: Rig) -> None:
    """What is left of a fault that went wrong is done, and in the ledger's account of before the next."""
    _quiet(rig)
    with contextlib.suppress(AssertionError, *client_errors()):
        _measure(rig)
    rig.ledger = ledger.numbers(ledger.totals(rig))


def _tell(outcome: Outcome, scene: Scene, account: Account) -> None:
    outcome.sent, outcome.acknowledged = len(account.known), account.acknowledged
    outcome.failed = len(account.failed)
    if unanswered := account.unsure - scene.unsure:
        outcome.problems.append(f"{len(unanswered)} events were never answered")


def _settle(rig: Rig, scene: Scene, account: Account) -> None:
    """Until all is stored, or the time is over: what is missing then is named by the comparison."""
    since = scene.began - 1

    def all_stored() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return not missing(account, stored(rig, since))
        return False

    with contextlib.suppress(AssertionError):
        until(all_stored, _STORED_SECONDS, "all is stored", _ASKED_AGAIN_SECONDS)


def _quiet(rig: Rig) -> None:
    """Until nothing waits in the queue and nothing is in hand: what comes again has come."""

    def empty() -> bool:
        queue = rig.get("/api/v1/status")["queue"]
        return bool(queue and not queue["ready"] and not queue["in_flight"])

    with contextlib.suppress(AssertionError):
        until(empty, _QUIET_SECONDS, "the queue is empty", _ASKED_AGAIN_SECONDS)


def _measure(rig: Rig) -> None:
    """Until a run of the batches, begun after all was stored, has come to its end."""

    def done() -> bool:
        return bool(rig.invoke("measure").get("state") == "done")

    until(done, _MEASURED_SECONDS, "the batches have run", _INVOKED_AGAIN_SECONDS)
