"""The ledger held against the witness and the stores. Totals only grow, so a fault is judged by what it added."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.paths import ROOT
from tests.faults.findings import NAMED, Findings
from tests.faults.rig import Rig
from tests.support.polling import until

_COUNTS = ("received", "stored", "failed", "duplicate", "erased", "dead", "in_flight")
_BALANCED_SECONDS = 60.0
_MINUTE_SECONDS = 60
_AUDIT_SECONDS = 240


def compare(rig: Rig, findings: Findings, stored: int, failed: int, dead: int) -> None:
    """What the ledger says was added since the last fault: so many events stored, failed and given up.

    A tally comes to the store by the batches, so these are run until it balances, or the time is over.
    """
    total: dict[str, Any] = {}

    def balanced() -> bool:
        nonlocal total
        total = totals(rig)
        if not total["balanced"]:
            rig.invoke("measure")
        return bool(total["balanced"])

    with contextlib.suppress(AssertionError):
        until(balanced, _BALANCED_SECONDS, "the ledger balances")
    findings.same("what the ledger has in flight", total["in_flight"], 0)
    findings.same("by how much the ledger differs from the rows", total["difference"], 0)
    fates = sum(total[name] for name in _COUNTS[1:]) + sum(total["dropped"].values())
    findings.same("what the ledger has received", total["received"], fates)
    added = numbers(total)
    before, rig.ledger = rig.ledger, added
    for name, wanted in (("stored", stored), ("failed", failed), ("dead", dead)):
        findings.same(f"what the ledger says is {name}", added[name] - before.get(name, 0), wanted)
    received = added["received"] - before.get("received", 0)
    if received < stored + failed + dead:
        findings.problems.append(f"the ledger has received {received} events, which is less than became of them")


def totals(rig: Rig) -> dict[str, Any]:
    """All that was received since the rig began."""
    since = datetime.fromtimestamp(rig.began - 60, UTC).isoformat()
    total: dict[str, Any] = rig.get("/api/v1/ledger", {"from": since, "group_by": "key"})["total"]
    return total


def numbers(total: Mapping[str, Any]) -> dict[str, int]:
    """Of totals what can be told apart by fault."""
    return {name: int(total[name]) for name in _COUNTS}


def audit(rig: Rig, findings: Findings, since: float) -> None:
    """`weir audit` of the minutes since then, as an operator runs it: it names what is not where the ledger says."""
    first, last = (_minute(at) for at in (since, time.time() + _MINUTE_SECONDS))
    command = [sys.executable, "-m", "infra.cli.main", "audit", "--from", first, "--to", last, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=rig.variables(), check=False, capture_output=True, text=True, timeout=_AUDIT_SECONDS
    )
    if not done.stdout:
        findings.problems.append(f"weir audit ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return
    found = json.loads(done.stdout)["findings"]
    if done.returncode and not found:
        findings.problems.append(f"weir audit ended with {done.returncode} and named nothing: {done.stdout[-500:]}")
    for one in found[:NAMED]:
        findings.problems.append(f"weir audit: {one['kind']} {one['event_id']} (batch {one['batch_id']})")


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at - at % _MINUTE_SECONDS, UTC).isoformat()
