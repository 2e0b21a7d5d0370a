"""Versions of a schema: ``1.0``, ``1.1``, ``2.0``. Within a major version a later one takes what an earlier took."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_TEXT = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\Z")
_MAJOR = re.compile(r"(0|[1-9][0-9]{0,5})\Z")


class Version(NamedTuple):
    """Orders as versions do: 1.9 before 1.10."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse(text: str) -> Version | None:
    """A version from its text; None when it is none."""
    found = _TEXT.match(text)
    return Version(int(found[1]), int(found[2])) if found else None


def chosen(said: Any, known: Iterable[Version]) -> Version | None:
    """The version that an event names: the newest when it names none, and of a major version alone its newest.

    None when there is no such version.
    """
    if said is None:
        return max(known, default=None)
    if type(said) is int:
        said = str(said)
    if type(said) is not str:
        return None
    if _MAJOR.match(said):
        return max((one for one in known if one.major == int(said)), default=None)
    wanted = parse(said)
    return wanted if wanted in set(known) else None
