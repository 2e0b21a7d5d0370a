"""Local hours and weekdays."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.enrich.steps.local_time import local_time_step
from functions.shared.domain.zones import names, zone
from tests.unit.enrich.steps.rows import NOON_UTC, row

STEP = local_time_step()
SECOND = 10**9


def local(timezone: Any = None, geo_timezone: str = "", timestamp: int = NOON_UTC) -> dict[str, Any]:
    context = {} if timezone is None else {"timezone": timezone}
    return dict(STEP.run(row(context=context, geo_timezone=geo_timezone, timestamp=timestamp)))


@pytest.mark.parametrize(
    ("timezone", "name", "hour", "weekday"),
    [
        ("Europe/London", "Europe/London", 12, 4),
        ("Asia/Tokyo", "Asia/Tokyo", 21, 4),
        ("Asia/Kathmandu", "Asia/Kathmandu", 17, 4),
        ("Pacific/Kiritimati", "Pacific/Kiritimati", 2, 5),
        ("Pacific/Pago_Pago", "Pacific/Pago_Pago", 1, 4),
        ("america/new_york", "America/New_York", 7, 4),
        ("UTC", "UTC", 12, 4),
    ],
)
def test_the_clients_zone_decides(timezone: str, name: str, hour: int, weekday: int) -> None:
    assert local(timezone, "Europe/Paris") == {"timezone": name, "local_hour": hour, "local_weekday": weekday}


@pytest.mark.parametrize(("geo_timezone", "name"), [("Europe/Paris", "Europe/Paris"), ("", "UTC"), ("Nowhere", "UTC")])
@pytest.mark.parametrize("absent", [None, ""])
def test_without_it_the_place_decides_and_last_utc(absent: str | None, geo_timezone: str, name: str) -> None:
    found = local(absent, geo_timezone)
    assert found["timezone"] == name
    assert "flags" not in found


@pytest.mark.parametrize(
    "timezone",
    ["Mars/Base", "Europe", "../../etc/passwd", "localtime", "+02:00", "\x00", "x" * 9_000, 7, [], {"a": 1}, True],
)
def test_a_zone_that_is_none_is_flagged_and_the_place_decides(timezone: Any) -> None:
    found = local(timezone, "Europe/Paris")
    falsy = not timezone
    assert found["timezone"] == "Europe/Paris"
    assert found.get("flags") == (None if falsy else ["timezone_invalid"])


@given(st.sampled_from(sorted(set(names().values()))), st.integers(946_684_800, 4_102_444_799))
@example("America/St_Johns", 1_300_000_000)
@example("Australia/Lord_Howe", 1_759_591_800)
def test_the_hour_is_the_zones_own_at_any_moment(name: str, seconds: int) -> None:
    expected = datetime.fromtimestamp(seconds, zone(name))
    found = local(name, timestamp=seconds * SECOND)
    assert (found["local_hour"], found["local_weekday"]) == (expected.hour, expected.isoweekday())


def test_clocks_set_within_a_quarter_of_an_hour_are_followed() -> None:
    # Newfoundland set its clocks at one minute past midnight: 2010-11-07T00:01-02:30 became 2010-11-06T23:01.
    change = int(datetime.fromisoformat("2010-11-07T02:31:00+00:00").timestamp())
    before = local("America/St_Johns", timestamp=(change - 1) * SECOND)
    after = local("America/St_Johns", timestamp=change * SECOND)
    assert (before["local_hour"], before["local_weekday"]) == (0, 7)
    assert (after["local_hour"], after["local_weekday"]) == (23, 6)
