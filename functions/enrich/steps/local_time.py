"""What time it was where the event happened: the hour of the day and the day of the week a person lived it in.

Zones are those of PyPI ``tzdata``, read from there and not from the machine, so that every machine agrees.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from functions.enrich.steps.step import Columns, Step, flagged
from functions.shared.domain.instants import SECOND

_QUARTER = 900
_QUARTER_NS = _QUARTER * SECOND
_CACHED = 32_768
_CACHED_ZONES = 1_024
_EMPTY: Columns = {"timezone": "", "local_hour": None, "local_weekday": None}


def local_time_step() -> Step:
    """``timezone`` (the client's, else the address's, else UTC), ``local_hour`` and ``local_weekday`` (1 = Monday).

    Flag ``timezone_invalid`` for a client's zone that is none.
    """
    names = _names()
    quarters = lru_cache(maxsize=_CACHED)(_of_quarter)

    def at(zone: str, timestamp: int) -> Columns:
        return quarters(zone, timestamp // _QUARTER_NS) or _at(zone, timestamp // SECOND)

    def run(row: Mapping[str, Any]) -> Columns:
        said = row["context"].get("timezone")
        known = isinstance(said, str) and (names.get(said) or names.get(said.lower()))
        if known:
            return at(known, row["timestamp"])
        columns = at(names.get(row["geo_timezone"]) or "UTC", row["timestamp"])
        return flagged(row, columns, "timezone_invalid") if said else columns

    return Step("local_time", run, _EMPTY)


def _of_quarter(zone: str, quarter: int) -> Columns | None:
    """The columns of a quarter of an hour; None where they change within it.

    Offsets are whole quarters of an hour, and clocks are set within a quarter only in a few zones.
    """
    first, last = _at(zone, quarter * _QUARTER), _at(zone, quarter * _QUARTER + _QUARTER - 1)
    return first if first == last else None


def _at(zone: str, seconds: int) -> Columns:
    local = datetime.fromtimestamp(seconds, _zone(zone))
    return {"timezone": zone, "local_hour": local.hour, "local_weekday": local.isoweekday()}


def _names() -> Mapping[str, str]:
    """Every zone there is, by its name and by its name in lower case: clients do not agree on the case."""
    listed = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return {name.lower(): name for name in listed} | {name: name for name in listed}


@lru_cache(maxsize=_CACHED_ZONES)
def _zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
