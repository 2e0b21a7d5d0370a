"""Geolocation from files in MaxMind's format (``.mmdb``), in either of the two layouts there are.

MaxMind's own (GeoIP2-City, GeoLite2-City) nests names by language; DB-IP's city files, as published on npm, are flat
and come one per family of addresses. https://maxmind.github.io/MaxMind-DB/ describes the format.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import maxminddb

from functions.shared.adapters.geo_zones import zone_at
from functions.shared.domain.places import GeoLookup, Place
from functions.shared.errors import Misconfigured

_IPV4 = 4
_DIGITS = 4  # of a degree: eleven metres, finer than any source knows


def load(folder: Path) -> GeoLookup | None:
    """The city databases of a folder as one lookup; None where there is none, and geolocation is off.

    Raises :class:`~functions.shared.errors.Misconfigured` for a file that is no database.
    """
    readers = [reader for path in sorted(folder.glob("*.mmdb")) if _holds_cities(reader := _open(path))]
    return MmdbLookup(readers) if readers else None


class Database(Protocol):
    """What is used of an open file: ``maxminddb.Reader`` is one."""

    def get(self, ip_address: str) -> Any:
        """The record of an address, or None."""
        ...

    def metadata(self) -> Any:
        """The file's own description."""
        ...


class MmdbLookup:
    """Asks the IPv4 files for IPv4 addresses first, then the others (an IPv6 file may hold both)."""

    def __init__(self, readers: Sequence[Database]) -> None:
        self._six = [reader for reader in readers if reader.metadata().ip_version != _IPV4]
        self._four = [reader for reader in readers if reader.metadata().ip_version == _IPV4] + self._six

    def find(self, address: str) -> Place | None:
        for reader in self._six if ":" in address else self._four:
            record = reader.get(address)
            if isinstance(record, dict):
                return _place(record)
        return None


def _open(path: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(path)
    except (maxminddb.InvalidDatabaseError, OSError) as error:
        raise Misconfigured(f"{path.name} is no geolocation database: {error}") from error


def _holds_cities(reader: maxminddb.Reader) -> bool:
    kind = reader.metadata().database_type.lower()
    return "city" in kind or "enterprise" in kind


def _place(record: Mapping[str, Any]) -> Place:
    return _flat(record) if "country_code" in record else _nested(record)


def _flat(record: Mapping[str, Any]) -> Place:
    """DB-IP's layout. Its timezone is empty in the free edition, and is then told from the coordinates."""
    country = record.get("country_code") or ""
    latitude, longitude = _degrees(record.get("latitude")), _degrees(record.get("longitude"))
    return Place(
        country=country,
        region=record.get("state1") or "",
        city=record.get("city") or "",
        latitude=latitude,
        longitude=longitude,
        timezone=record.get("timezone") or zone_at(country, latitude, longitude),
    )


def _nested(record: Mapping[str, Any]) -> Place:
    """MaxMind's layout: the first subdivision is the largest one."""
    location = record.get("location") or {}
    subdivisions = record.get("subdivisions") or [{}]
    return Place(
        country=(record.get("country") or {}).get("iso_code") or "",
        region=_english(subdivisions[0]),
        city=_english(record.get("city") or {}),
        latitude=_degrees(location.get("latitude")),
        longitude=_degrees(location.get("longitude")),
        timezone=location.get("time_zone") or "",
    )


def _english(named: Mapping[str, Any]) -> str:
    name = (named.get("names") or {}).get("en")
    return name if isinstance(name, str) else ""


def _degrees(value: Any) -> float | None:
    return round(float(value), _DIGITS) if isinstance(value, int | float) else None
