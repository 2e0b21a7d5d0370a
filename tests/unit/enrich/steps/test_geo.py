"""Places of addresses: MaxMind's own test database, records in DB-IP's layout, and a fake source."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.enrich.steps.geo import geo_step
from functions.shared.adapters.geo_mmdb import MmdbLookup, load
from functions.shared.adapters.geo_zones import zone_at
from functions.shared.domain.places import Place
from functions.shared.errors import Misconfigured
from tests.unit.enrich.steps.rows import row

DATA = Path(__file__).parents[3] / "data"


class CountingSource:
    """A source that knows one address and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, address: str) -> Place | None:
        self.asked += 1
        return Place("GB", "England", "London", 51.5, -0.1, "Europe/London") if address == "81.2.69.142" else None


@pytest.mark.parametrize(
    ("ip", "country", "region", "city", "timezone"),
    [
        ("81.2.69.142", "GB", "England", "London", "Europe/London"),
        ("2001:218::1", "JP", "", "", "Asia/Tokyo"),
        ("89.160.20.112", "SE", "Östergötland County", "Linköping", "Europe/Stockholm"),
        ("10.1.2.3", "", "", "", ""),
        ("", "", "", "", ""),
    ],
)
def test_the_place_of_an_address_is_told_in_english(
    ip: str, country: str, region: str, city: str, timezone: str
) -> None:
    found = geo_step(load(DATA)).run(row(ip=ip))
    assert (found["geo_country"], found["geo_region"], found["geo_city"], found["geo_timezone"]) == (
        country,
        region,
        city,
        timezone,
    )
    assert (found["geo_latitude"] is None) == (country == "")


def test_without_a_source_every_place_is_empty() -> None:
    step = geo_step(None)
    assert step.run(row(ip="81.2.69.142")) == step.empty


def test_an_address_is_looked_up_once() -> None:
    source = CountingSource()
    step = geo_step(source)
    assert step.run(row(ip="81.2.69.142")) is step.run(row(ip="81.2.69.142"))
    assert source.asked == 1


class FakeDatabase:
    """An open file of one family of addresses, which refuses the other as ``maxminddb`` does."""

    def __init__(self, ip_version: int, records: Mapping[str, Any]) -> None:
        self._version = ip_version
        self._records = records

    def get(self, ip_address: str) -> Any:
        if ":" in ip_address and self._version == 4:
            raise ValueError("an IPv6 address in an IPv4-only database")
        return self._records.get(ip_address)

    def metadata(self) -> Any:
        return SimpleNamespace(ip_version=self._version)


def dbip(city: str, **more: Any) -> dict[str, Any]:
    """A record as in DB-IP's city files."""
    empty = {"country_code": "", "latitude": None, "longitude": None, "postcode": "", "state1": "", "state2": ""}
    return empty | {"city": city, "timezone": ""} | more


LONDON = dbip("London", country_code="GB", latitude=51.51430130004883, longitude=-0.0912244021, state1="England")
TOKYO = dbip("Chiyoda City", country_code="JP", latitude=35.6869010925293, longitude=139.76699829101562, state1="Tokyo")


def test_the_flat_layout_is_read_from_one_file_per_family() -> None:
    lookup = MmdbLookup([FakeDatabase(6, {"2001:218::1": TOKYO}), FakeDatabase(4, {"81.2.69.142": LONDON})])
    assert lookup.find("81.2.69.142") == Place("GB", "England", "London", 51.5143, -0.0912, "Europe/London")
    assert lookup.find("2001:218::1") == Place("JP", "Tokyo", "Chiyoda City", 35.6869, 139.767, "Asia/Tokyo")
    assert lookup.find("2001:db8::1") is None
    assert lookup.find("10.0.0.1") is None


def test_a_file_of_one_family_does_without_the_other() -> None:
    assert MmdbLookup([FakeDatabase(4, {})]).find("2001:218::1") is None


def test_the_timezone_of_a_record_is_believed() -> None:
    lookup = MmdbLookup([FakeDatabase(4, {"1.2.3.4": LONDON | {"timezone": "Europe/Jersey"}})])
    place = lookup.find("1.2.3.4")
    assert place is not None
    assert place.timezone == "Europe/Jersey"


@pytest.mark.parametrize(
    "record", [{}, {"country_code": None}, {"city": {}}, {"location": {"latitude": "x"}}, {"country": {}}]
)
def test_a_record_with_gaps_is_a_place_with_gaps(record: dict[str, Any]) -> None:
    assert MmdbLookup([FakeDatabase(4, {"1.2.3.4": record})]).find("1.2.3.4") == Place()


@pytest.mark.parametrize(
    ("country", "latitude", "longitude", "zone"),
    [
        ("GB", 51.5, -0.1, "Europe/London"),
        ("GB", None, None, "Europe/London"),
        ("DE", 48.8, 9.2, "Europe/Berlin"),
        ("US", 40.7, -74.0, "America/New_York"),
        ("US", 37.42, -122.08, "America/Los_Angeles"),
        ("US", 39.7, -104.9, "America/Denver"),
        ("US", 21.3, -157.8, "Pacific/Honolulu"),
        ("RU", 55.8, 37.6, "Europe/Moscow"),
        ("RU", 43.1, 131.9, "Asia/Vladivostok"),
        ("AU", -31.9, 115.9, "Australia/Perth"),
        ("FJ", -17.0, -179.9, "Pacific/Fiji"),
        ("US", None, None, ""),
        ("", 1.0, 1.0, ""),
        ("ZZ", 1.0, 1.0, ""),
    ],
)
def test_the_timezone_of_a_place_is_that_of_the_nearest_one_whose_clock_is_known(
    country: str, latitude: float | None, longitude: float | None, zone: str
) -> None:
    assert zone_at(country, latitude, longitude) == zone


def test_a_folder_without_databases_means_no_geolocation(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "absent") is None


def test_a_file_that_is_no_database_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.mmdb").write_bytes(b"no database")
    with pytest.raises(Misconfigured, match=r"broken\.mmdb"):
        load(tmp_path)
