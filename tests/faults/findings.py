"""What is wrong, in words that name ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

NAMED = 5


@dataclass
class Findings:
    """What is wrong, and the two sets that have to be empty."""

    lost: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def add(self, what: str, ids: Collection[str]) -> None:
        """Note what is wrong with some events, if there are any."""
        if ids:
            named = ", ".join(sorted(ids)[:NAMED])
            self.problems.append(f"{len(ids)} {what}: {named}{' …' if len(ids) > NAMED else ''}")

    def same(self, what: str, found: Any, wanted: Any) -> None:
        """Note two things that ought to be alike."""
        if found != wanted:
            self.problems.append(f"{what} is {found} instead of {wanted}")
