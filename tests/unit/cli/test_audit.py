"""Which minutes `weir audit` looks at."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.cli import client
from infra.cli.audit import _range

MINUTE = 1_767_225_600


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("00:01:00", MINUTE + 60),
        ("00:01:00.9", MINUTE + 120),
        ("00:01:59.000000001", MINUTE + 120),
        ("00:01:59.9", MINUTE + 120),
        ("00:01:01", MINUTE + 120),
        ("00:01:59", MINUTE + 120),
        ("00:02:00", MINUTE + 120),
    ],
)
def test_the_minute_in_which_it_is_to_end_is_looked_at_whole(until: str, ends: int) -> None:
    assert _range("2026-01-01T00:00:59Z", f"2026-01-01T{until}Z") == (MINUTE, ends)


def test_it_begins_with_the_minute_whole_in_which_it_is_to_begin() -> None:
    assert _range("2026-01-01T00:00:59.9Z", "2026-01-01T00:01:00Z") == (MINUTE, MINUTE + 60)


@pytest.mark.parametrize("until", ["2106-02-07T06:28:00Z", "2106-02-07T06:28:15Z", "2300-01-01T00:00:00Z"])
def test_no_minute_is_asked_for_that_the_store_cannot_name(until: str) -> None:
    assert _range("2026-01-01T00:00:00Z", until) == (MINUTE, 2**32 - 16)


def test_what_came_just_now_is_said_to_be_looked_at_only_where_the_end_is_given() -> None:
    now = datetime.now(UTC)
    with pytest.raises(client.CommandError, match=r"--to 20[0-9T:-]+Z"):
        _range(now.isoformat(), "")
    begins, ends = _range(now.isoformat(), (now + timedelta(minutes=1)).isoformat())
    assert ends - begins in (60, 120)


def test_what_ends_as_it_begins_is_refused() -> None:
    with pytest.raises(client.CommandError, match="before --to"):
        _range("2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z")
