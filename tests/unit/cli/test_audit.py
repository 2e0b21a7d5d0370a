"""Which minutes `weir audit` looks at."""

import pytest

from infra.cli import client
from infra.cli.audit import _range

MINUTE = 1_767_225_600


@pytest.mark.parametrize(
    ("until", "ends"),
    [("00:01:00", MINUTE + 60), ("00:01:01", MINUTE + 120), ("00:01:59", MINUTE + 120), ("00:02:00", MINUTE + 120)],
)
def test_the_minute_in_which_it_is_to_end_is_looked_at_whole(until: str, ends: int) -> None:
    assert _range("2026-01-01T00:00:59Z", f"2026-01-01T{until}Z") == (MINUTE, ends)


def test_what_ends_as_it_begins_is_refused() -> None:
    with pytest.raises(client.CommandError, match="before --to"):
        _range("2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z")
