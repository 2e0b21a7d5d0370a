"""The careful reading of one event that the guard refused: names every fault, repairs what may be repaired."""

import json
import math
from typing import Any, NamedTuple

from schemas.faults import Fault, Location
from schemas.limits import Limits

_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}


class Inspected(NamedTuple):
    """What could be read: the value (None when nothing), its text repaired for storage, and what was found."""

    value: dict[str, Any] | None
    text: bytes
    faults: list[Fault]
    warnings: list[Fault]


def inspect(line: bytes, limits: Limits) -> Inspected:
    """Read one event tolerantly. Never raises: whatever is wrong becomes a fault."""
    if len(line) > limits.event_bytes:
        return _refused(line, "event_too_large", f"The event is {len(line)} bytes; the limit is {limits.event_bytes}.")
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _refused(line, "malformed_json", f"The event is not UTF-8 at byte {error.start}.")
    except json.JSONDecodeError as error:
        return _refused(line, "malformed_json", f"{error.msg} at column {error.colno}.")
    except RecursionError:
        return _refused(line, "too_deep", f"The event nests more than {limits.nesting_levels} levels deep.")
    except ValueError:
        return _refused(line, "integer_too_large", "A number in the event has thousands of digits.")
    if not isinstance(value, dict):
        return _refused(line, "not_an_object", "An event must be a JSON object.")
    walk = _Walk(limits)
    walk.visit_object(value, (), 0)
    if walk.surrogates:
        value = json.loads(json.dumps(value), object_pairs_hook=_repaired_pairs)
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        walk.warnings.append(Fault("surrogate_replaced", walk.surrogates[0], "Half an emoji was replaced by U+FFFD."))
    return Inspected(value, line, walk.faults, walk.warnings)


def _refused(line: bytes, code: Any, message: str) -> Inspected:
    return Inspected(None, line, [Fault(code, (), message)], [])


def repair_text(text: str) -> str:
    """Replace lone surrogates by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _repaired_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {repair_text(key): _repaired(value) for key, value in pairs}


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return repair_text(value)
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    return value


class _Walk:
    """One walk over an event's values, collecting faults with their locations."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.surrogates: list[Location] = []

    def visit_object(self, value: dict[str, Any], loc: Location, level: int) -> None:
        for key, item in value.items():
            if len(key) > self._limits.key_characters:
                self._fault("key_too_long", (*loc, key[:32] + "…"), self._limits.key_characters, "characters")
            if not key.isascii() and _has_surrogate(key):
                self.surrogates.append((*loc, repair_text(key)))
            self._visit(item, (*loc, key), level)

    def _visit(self, value: Any, loc: Location, level: int) -> None:
        if isinstance(value, dict | list):
            self._descend(value, loc, level + 1)
        elif isinstance(value, str):
            self._text(value, loc)
        elif isinstance(value, float) and not math.isfinite(value):
            name = _NAMES.get(value, "NaN")
            self.faults.append(Fault("not_finite", loc, f"{name} is not a JSON number."))
        elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            self.faults.append(Fault("integer_too_large", loc, "The integer does not fit 64 bits."))

    def _descend(self, value: dict[str, Any] | list[Any], loc: Location, level: int) -> None:
        if level > self._limits.nesting_levels:
            self._fault("too_deep", loc[:4], self._limits.nesting_levels, "levels")
        elif isinstance(value, dict):
            self.visit_object(value, loc, level)
        else:
            for index, item in enumerate(value):
                self._visit(item, (*loc, index), level)

    def _text(self, value: str, loc: Location) -> None:
        if len(value) > self._limits.string_characters:
            self._fault("string_too_long", loc, self._limits.string_characters, "characters")
        if not value.isascii() and _has_surrogate(value):
            self.surrogates.append(loc)

    def _fault(self, code: Any, loc: Location, limit: int, unit: str) -> None:
        self.faults.append(Fault(code, loc, f"More than the limit of {limit} {unit}."))


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
