"""SECURITY.md names tests: each is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_what_is_said_to_be_held_by_a_test_is() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(tests/[^` ]+)`", text))
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / "SECURITY.md").read_text()):
        assert (ROOT / link).exists(), link
