"""The matrix in its short form: each fault is a test of its own, all on one stack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults import table
from tests.faults.matrix import FAULTS, Fault
from tests.faults.rig import Rig
from tests.faults.run import run

# A fault has deadlines of its own, which say more; the first one's time is also that of its stack's start.
pytestmark = [pytest.mark.engines, pytest.mark.timeout(1_200)]
# Where file systems can be mounted, a fault of a full disk may not skip.
REQUIRE_DISKS = "WEIR_REQUIRE_DISKS"
_SEED = 1


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("faults"), short=True) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_what_was_acknowledged_is_stored_exactly_once_or_visibly_failed(rig: Rig, fault: Fault) -> None:
    outcome = run(rig, fault, _SEED)
    print(table.line(outcome))
    if outcome.skipped and os.environ.get(REQUIRE_DISKS):
        pytest.fail(f"a small file system must be had here: {outcome.skipped}")
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.problems == []
