"""The timezone of a place whose source does not tell it, from tzdata's ``zone.tab`` (public domain).

A country of one zone has that one. Elsewhere it is the zone of the nearest principal place of the same country, which
is a good guess that may be an hour off near a border between zones.
"""

import re
from collections import defaultdict
from functools import cache
from importlib.resources import files
from math import cos, radians
from typing import NamedTuple

_COORDINATES = re.compile(r"([+-])(\d{2,3})(\d{2})(\d{2})?(?=[+-]|$)")


class _Principal(NamedTuple):
    zone: str
    latitude: float
    longitude: float


def zone_at(country: str, latitude: float | None, longitude: float | None) -> str:
    """The IANA zone of a place in a country (ISO alpha-2); '' for a country that is not known."""
    principals = _by_country().get(country, ())
    if not principals:
        return ""
    if len(principals) == 1 or latitude is None or longitude is None:
        return principals[0].zone if len(principals) == 1 else ""
    return min(principals, key=lambda principal: _distance(principal, latitude, longitude)).zone


def _distance(principal: _Principal, latitude: float, longitude: float) -> float:
    """Good enough to compare by: the square of the distance on a map flattened at that latitude."""
    east = abs(longitude - principal.longitude)
    east = min(east, 360 - east) * cos(radians(latitude))
    return (latitude - principal.latitude) ** 2 + east**2


@cache
def _by_country() -> dict[str, list[_Principal]]:
    found: dict[str, list[_Principal]] = defaultdict(list)
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, coordinates, zone = line.split("\t")[:3]
            latitude, longitude = (_read(*parts) for parts in _COORDINATES.findall(coordinates))
            found[country].append(_Principal(zone, latitude, longitude))
    return dict(found)


def _read(sign: str, degrees: str, minutes: str, seconds: str) -> float:
    value = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -value if sign == "-" else value
