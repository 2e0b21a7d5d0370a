"""What an enrichment step is, and the few words all of them use."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from functions.shared.domain.consent import ANONYMISED

Columns = Mapping[str, Any]
"""What a step found, by column of ``ProcessedRow``. May be cached and shared by many rows: never change one."""

NOTHING: Columns = {}


class CacheInfo(Protocol):
    """What a cache tells of itself: how often it had the answer, and how often it was asked for one it had not."""

    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...


class Step(NamedTuple):
    """One enrichment. ``run`` reads a row and returns the columns it found; ``empty`` stands in when it raises.

    ``cache`` tells how well what was found is kept, of a step in which that matters.
    """

    name: str
    run: Callable[[Mapping[str, Any]], Columns]
    empty: Columns
    cache: Callable[[], CacheInfo] | None = None


def is_anonymous(row: Mapping[str, Any]) -> bool:
    """Whether the event's sender refused to be known."""
    return ANONYMISED in row["flags"]


def flagged(row: Mapping[str, Any], columns: Columns, flag: str) -> Columns:
    """The columns, and the row's flags with one more."""
    return {**columns, "flags": [*row["flags"], flag]}


def part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object a client put under a name; an empty one for anything else it may have put there."""
    found = value.get(name)
    return found if isinstance(found, dict) else NOTHING


def text(value: Any, limit: int) -> str:
    """A client's text, without the space around it, cut to ``limit``; '' for anything that is no text."""
    return value[: limit + limit].strip()[:limit] if isinstance(value, str) else ""
