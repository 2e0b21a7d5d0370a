"""By what an event is recognised, and which environment its key belongs to."""

import hashlib

import pytest

from functions.shared.domain import environments, identity
from functions.shared.domain.ids import NIL

_USER, _SESSION = "0193a1b2-c3d4-7e5f-8a9b-000000000033", "0193a1b2-c3d4-7e5f-8a9b-000000000044"


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((_USER, "dev", _SESSION), f"u:{_USER}"),
        ((None, "dev", _SESSION), "a:dev"),
        ((None, "", _SESSION), f"s:{_SESSION}"),
        ((None, "", NIL), "f:" + hashlib.sha256(b"192.0.2.1\nagent").hexdigest()),
    ],
)
def test_the_most_telling_id_counts(ids: tuple[str | None, str, str], expected: str) -> None:
    assert identity.of(*ids, "192.0.2.1", "agent") == expected


@pytest.mark.parametrize(
    ("key", "expected"), [("test_1", "test"), ("wk_test_1", "test"), ("wk_1", "live"), ("", "live")]
)
def test_a_key_is_a_test_key_by_its_beginning(key: str, expected: str) -> None:
    assert environments.of(key) == expected
