"""Where the sender's address is."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from functions.enrich.steps.step import Columns, Step
from functions.shared.domain.places import GeoLookup, Place

# A lookup in a city database takes 28 µs, one here 0.3; the data is read once a process, so nothing here is older.
_CACHED = 16_384


def geo_step(lookup: GeoLookup | None) -> Step:
    """The ``geo_*`` columns of ``ip``; empty for an address that is in no source, and for all without a source."""
    empty = _columns(Place())

    @lru_cache(maxsize=_CACHED)
    def found(ip: str) -> Columns:
        place = lookup.find(ip) if ip and lookup is not None else None
        return empty if place is None else _columns(place)

    def run(row: Mapping[str, Any]) -> Columns:
        return found(row["ip"])

    return Step("geo", run, empty, found.cache_info if lookup is not None else None)


def _columns(place: Place) -> Columns:
    return {f"geo_{name}": value for name, value in place._asdict().items()}
