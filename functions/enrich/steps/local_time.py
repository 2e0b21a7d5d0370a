"""What time it was where the event happened: the hour of the day and the day of the week a person lived it in."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from functions.enrich.steps.step import Columns, Step, flagged
from functions.shared.domain.instants import SECOND
from functions.shared.domain.zones import names, zone

_QUARTER = 900
_QUARTER_NS = _QUARTER * SECOND
_CACHED = 32_768
_EMPTY: Columns = {"timezone": "", "local_hour": None, "local_weekday": None}


def local_time_step() -> Step:
    """``timezone`` (the client's, else the address's, else UTC), ``local_hour`` and ``local_weekday`` (1 = Monday).

    Flag ``timezone_invalid`` for a client's zone that is none.
    """
    known = names()
    quarters = lru_cache(maxsize=_CACHED)(_of_quarter)

    def at(name: str, timestamp: int) -> Columns:
        return quarters(name, timestamp // _QUARTER_NS) or _at(name, timestamp // SECOND)

    def run(row: Mapping[str, Any]) -> Columns:
        said = row["context"].get("timezone")
        name = isinstance(said, str) and (known.get(said) or known.get(said.lower()))
        if name:
            return at(name, row["timestamp"])
        columns = at(known.get(row["geo_timezone"]) or "UTC", row["timestamp"])
        return flagged(row, columns, "timezone_invalid") if said else columns

    return Step("local_time", run, _EMPTY)


def _of_quarter(name: str, quarter: int) -> Columns | None:
    """The columns of a quarter of an hour; None where they change within it.

    Offsets are whole quarters of an hour, and clocks are set within a quarter only in a few zones.
    """
    first, last = _at(name, quarter * _QUARTER), _at(name, quarter * _QUARTER + _QUARTER - 1)
    return first if first == last else None


def _at(name: str, seconds: int) -> Columns:
    local = datetime.fromtimestamp(seconds, zone(name))
    return {"timezone": name, "local_hour": local.hour, "local_weekday": local.isoweekday()}
