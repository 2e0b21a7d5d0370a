"""Gzip bodies at the front door."""

import gzip
import zlib

import pytest

from infra.local.front_door.inflate import MOST_MEMBERS, Damaged, TooLarge, inflate

LIMIT = 1_000


def test_a_body_comes_out_as_it_went_in() -> None:
    assert inflate(gzip.compress(b"hello"), LIMIT) == b"hello"


def test_the_limit_itself_fits_and_one_more_does_not() -> None:
    assert len(inflate(gzip.compress(b"a" * LIMIT), LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        inflate(gzip.compress(b"a" * (LIMIT + 1)), LIMIT)


def test_members_follow_each_other_and_count_together() -> None:
    half = gzip.compress(b"a" * (LIMIT // 2))
    assert inflate(half + half, LIMIT) == b"a" * LIMIT
    with pytest.raises(TooLarge):
        inflate(half + half + gzip.compress(b"b"), LIMIT)


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(TooLarge):
        inflate(bomb, LIMIT)


def test_an_empty_content_is_empty() -> None:
    assert inflate(gzip.compress(b""), LIMIT) == b""


def test_zeros_after_the_end_are_padding() -> None:
    assert inflate(gzip.compress(b"hello") + bytes(512), LIMIT) == b"hello"


@pytest.mark.parametrize("cut", [2, 5, 12, -1, -8])
def test_a_body_that_ends_too_early_is_damaged(cut: int) -> None:
    with pytest.raises(Damaged):
        inflate(gzip.compress(b"hello, hello, hello")[:cut], LIMIT)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"hello") + b"rubbish",
        gzip.compress(b"hello")[:-8] + bytes(8),
        b"\x1f\x8b\x07" + gzip.compress(b"hello")[3:],
        zlib.compress(b"not gzip"),
    ],
    ids=["something after it", "a wrong checksum", "an unknown method", "zlib"],
)
def test_a_damaged_body_is_named_so(body: bytes) -> None:
    with pytest.raises(Damaged):
        inflate(body, LIMIT)


def test_so_many_members_and_no_more() -> None:
    one = gzip.compress(b"a")
    assert inflate(one * MOST_MEMBERS, 1_000) == b"a" * MOST_MEMBERS
    with pytest.raises(Damaged, match="more than 100 members"):
        inflate(one * (MOST_MEMBERS + 1), 1_000)
