"""How strictly events are taken, declared in ``modes.toml``: by event, by key, or both.

The rule that says most counts: one that names the event and the key, then one that names the key, then one that names
the event, then one that names neither. Where no rule speaks, a violation is a warning.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["off", "warn", "enforce"]
MODES: tuple[Mode, ...] = get_args(Mode)
UNSAID: Mode = "warn"


class Rule(BaseModel):
    """One ``[[rules]]``. An empty event or key is any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode
    event: Annotated[str, Field(max_length=256)] = ""
    key: Annotated[str, Field(max_length=256)] = ""


class Modes:
    """The rules, ready to be asked."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = {(rule.event, rule.key): rule.mode for rule in rules}

    def of(self, event: str, key: str) -> Mode:
        """The mode for an event's name and the id of the key that sent it."""
        for asked in ((event, key), ("", key), (event, ""), ("", "")):
            if found := self._rules.get(asked):
                return found
        return UNSAID
