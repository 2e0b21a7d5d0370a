"""What an enrichment step is, and the few words all of them use."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Columns = Mapping[str, Any]
"""What a step found, by column of ``ProcessedRow``. May be cached and shared by many rows: never change one."""

NOTHING: Columns = {}


class Step(NamedTuple):
    """One enrichment. ``run`` reads a row and returns the columns it found; ``empty`` stands in when it raises."""

    name: str
    run: Callable[[Mapping[str, Any]], Columns]
    empty: Columns


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
