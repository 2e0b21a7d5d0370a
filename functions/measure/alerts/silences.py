"""Silences: of which alerts nobody is told for a while. Pure; instants are nanoseconds."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple


class Silence(NamedTuple):
    """From ``since`` until before ``until``. ``rule`` may hold ``*``; ``tags`` are those that an alert must have."""

    silence_id: str
    rule: str
    tags: Mapping[str, str]
    since: int
    until: int
    said_by: str
    reason: str

    def covers(self, rule: str, tags: Mapping[str, str], now: int) -> bool:
        """Whether it silences an alert now."""
        if not self.since <= now < self.until or not fnmatchcase(rule, self.rule):
            return False
        return all(tags.get(name) == value for name, value in self.tags.items())


def silencing(silences: Iterable[Silence], rule: str, tags: Mapping[str, str], now: int) -> Silence | None:
    """A silence that covers an alert now, if there is one."""
    return next((one for one in silences if one.covers(rule, tags, now)), None)
