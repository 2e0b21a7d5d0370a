"""The example events of the shipped schemas, in pairs: one is right, the other wrong in the place its file names."""

from pathlib import Path

import pytest

from schemas.owned.judging import Judge
from schemas.owned.registry import load
from schemas.validation import Validator

SAMPLES = Path(__file__).parents[4] / "events_samples" / "schemas"
VALID, INVALID = (sorted((SAMPLES / kind).glob("*.json")) for kind in ("valid", "invalid"))


def test_samples_come_in_pairs_for_each_version_that_is_shipped() -> None:
    assert [path.name for path in VALID] == [path.name for path in INVALID]
    files = {kept.file for versions in load().events.values() for kept in versions.values()}
    assert {path.name.split(".", 1)[1].replace(".", "/", 1) for path in VALID} == files


@pytest.mark.parametrize("path", [*VALID, *INVALID], ids=lambda path: f"{path.parent.name} {path.stem}")
def test_a_sample_is_what_its_folder_says(path: Path) -> None:
    checked = Validator().check([path.read_bytes().replace(b"\n", b" ")])
    verdict = Judge(load()).judge(checked.events, "").get(0)
    assert checked.faults == {}
    assert (verdict is None) is (path in VALID)
    if verdict is not None:
        assert {fault.loc[1] for fault in verdict.faults} == {path.stem.split(".")[0]}
