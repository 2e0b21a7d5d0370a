"""The timezone of a place whose source does not tell it, from tzdata's ``zone.tab`` (public domain).

A country of one zone has that one. Elsewhere the nearest of the country's principal places decides, which is a good
guess that may be an hour off near a border between zones. Of the zones whose clocks agree the most populous one names
them all: nobody expects to read ``Europe/Busingen`` for Stuttgart.
"""

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from math import cos, radians
from typing import NamedTuple

from functions.shared.domain.zones import zone

_COORDINATES = re.compile(r"([+-])(\d{2,3})(\d{2})(\d{2})?(?=[+-]|$)")
_WINTER, _SUMMER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


class _Principal(NamedTuple):
    zone: str
    latitude: float
    longitude: float


def zone_at(country: str, latitude: float | None, longitude: float | None) -> str:
    """The IANA zone of a place in a country (ISO alpha-2); '' where it cannot be told."""
    principals = _principals(country)
    if len({principal.zone for principal in principals}) == 1:
        return principals[0].zone
    if not principals or latitude is None or longitude is None:
        return ""
    return min(principals, key=lambda principal: _distance(principal, latitude, longitude)).zone


def _distance(principal: _Principal, latitude: float, longitude: float) -> float:
    """Good enough to compare by: the square of the distance on a map flattened at that latitude."""
    east = abs(longitude - principal.longitude)
    east = min(east, 360 - east) * cos(radians(latitude))
    return (latitude - principal.latitude) ** 2 + east**2


@cache
def _principals(country: str) -> tuple[_Principal, ...]:
    """A country's principal places, each under the first zone whose clock agrees (the larger are listed first)."""
    named: dict[tuple[timedelta | None, ...], str] = {}
    return tuple(
        place._replace(zone=named.setdefault(_clock(place.zone), place.zone))
        for place in _by_country().get(country, ())
    )


def _clock(name: str) -> tuple[timedelta | None, ...]:
    return tuple(moment.astimezone(zone(name)).utcoffset() for moment in (_WINTER, _SUMMER))


@cache
def _by_country() -> dict[str, list[_Principal]]:
    found: dict[str, list[_Principal]] = defaultdict(list)
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, coordinates, name = line.split("\t")[:3]
            latitude, longitude = (_read(*parts) for parts in _COORDINATES.findall(coordinates))
            found[country].append(_Principal(name, latitude, longitude))
    return dict(found)


def _read(sign: str, degrees: str, minutes: str, seconds: str) -> float:
    value = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -value if sign == "-" else value
