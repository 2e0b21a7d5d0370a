"""Every sample file says what it is, and the validator agrees; the generated schemas are the committed ones."""

import json
from pathlib import Path

import pytest

from schemas import generate
from schemas.envelope import unpack
from schemas.validation import Validator

SAMPLES = Path(__file__).parents[3] / "events_samples"
VALID = sorted((SAMPLES / "valid").glob("*.event.v1.json"))
INVALID = sorted((SAMPLES / "invalid").glob("*.event.v1.json"))


def _line(path: Path) -> bytes:
    return path.read_bytes().replace(b"\n", b" ")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_sample_has_no_fault(path: Path) -> None:
    assert Validator().check([_line(path)]).faults == {}


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_sample_is_refused_for_the_field_in_its_name(path: Path) -> None:
    faults = Validator().check([_line(path)]).faults[0]
    assert len(faults) == 1
    assert path.stem.startswith(str(faults[0].loc[0]))


def test_samples_come_in_pairs_of_at_least_25() -> None:
    valid, invalid = {path.name for path in VALID}, {path.name for path in INVALID}
    assert invalid <= valid
    assert len(invalid) >= 25


def test_a_bad_sample_never_costs_its_neighbours() -> None:
    lines = [_line(path) for path in (*VALID, *INVALID)]
    checked = Validator().check(lines)
    assert sorted(checked.faults) == list(range(len(VALID), len(lines)))
    assert all(checked.events[index] is not None for index in range(len(VALID)))


@pytest.mark.parametrize(("name", "version"), [("message.envelope.v1.json", 1), ("message.envelope.v2.txt", 2)])
def test_every_envelope_version_is_understood(name: str, version: int) -> None:
    envelope = unpack((SAMPLES / "valid" / name).read_bytes())
    assert envelope.version == version
    assert json.loads(envelope.events[0])["event_name"] == "Product Viewed"


@pytest.mark.parametrize("name", sorted(generate.documents()))
def test_the_committed_json_schema_is_the_generated_one(name: str) -> None:
    assert (generate.FOLDER / name).read_text() == generate.rendered()[name]
