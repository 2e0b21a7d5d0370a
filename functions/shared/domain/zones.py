"""Timezones by name. They are those of PyPI ``tzdata``, never the machine's own, so that every machine agrees."""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_CACHED = 1_024


@cache
def names() -> Mapping[str, str]:
    """Every IANA zone, by its name and by its name in lower case: clients do not agree on the case."""
    listed = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return {name.lower(): name for name in listed} | {name: name for name in listed}


@lru_cache(maxsize=_CACHED)
def zone(name: str) -> ZoneInfo:
    """The zone of a name that :func:`names` knows."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
