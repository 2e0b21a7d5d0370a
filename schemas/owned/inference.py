"""A schema from samples: what they all have in common, and no more than they surely have.

Every sample is valid under what was made of it. A property is required when it was always there; a text has a format
or a list of values only when many samples say so. Values that look like they are anybody's (addresses, names: all that
differs from event to event) are in no list. Memory is bounded by the number of different properties, not of samples.
"""

from collections import Counter
from typing import Any

from schemas.owned.formats import seen
from schemas.owned.keywords import DIALECT

MOST_PROPERTIES = 200
DEEPEST = 8
# How many texts must agree before a format is believed, and before their values are taken for a list.
FORMAT_SAMPLES = 3
LIST_SAMPLES = 30
MOST_LISTED = 12
_LONGEST_LISTED = 40
_EACH_AT_LEAST = 2


class Samples:
    """All events of one name. Only ``properties`` are looked at; the rest is the same for all events."""

    def __init__(self, event_name: str) -> None:
        self._name = event_name
        self._count = 0
        self._with_properties = 0
        self._properties = _Seen(0)

    def add(self, event: dict[str, Any]) -> None:
        """Look at one valid event."""
        self._count += 1
        properties = event.get("properties")
        if properties is not None:
            self._with_properties += 1
            self._properties.add(properties)

    def schema(self) -> dict[str, Any]:
        """The schema as a file of the registry holds it."""
        made: dict[str, Any] = {"$schema": DIALECT, "title": self._name, "type": "object"}
        if self._with_properties:
            inner = self._properties.schema()
            # An event may say null for none.
            absent = self._with_properties < self._count
            made["properties"] = {"properties": {**inner, "type": ["object", "null"]} if absent else inner}
            if not absent:
                made["required"] = ["properties"]
        return made


class _Seen:
    """Everything that stood in one place."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._types: Counter[str] = Counter()
        self._formats: frozenset[str] | None = None
        self._texts: Counter[str] | None = Counter()
        self._members: dict[str, _Seen] = {}
        self._open = depth >= DEEPEST
        self._items: _Seen | None = None

    def add(self, value: Any) -> None:
        kind = _kind(value)
        self._types[kind] += 1
        if kind == "string":
            self._text(value)
        elif kind == "object":
            self._object(value)
        elif kind == "array" and self._depth < DEEPEST:
            self._items = self._items or _Seen(self._depth + 1)
            for item in value:
                self._items.add(item)

    def schema(self) -> dict[str, Any]:
        types = sorted(self._types)
        if "number" in types and "integer" in types:
            types.remove("integer")
        made: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
        if "string" in types:
            made |= self._of_texts(len(types) == 1)
        if self._members and not self._open:
            made["properties"] = {name: one.schema() for name, one in sorted(self._members.items())}
            objects = self._types["object"]
            always = [name for name, one in sorted(self._members.items()) if one.count == objects]
            made |= {"required": always} if always else {}
        if self._items is not None and self._items.count:
            made["items"] = self._items.schema()
        return made

    @property
    def count(self) -> int:
        return self._types.total()

    def _text(self, value: str) -> None:
        if self._formats is None or self._formats:
            self._formats = seen(value) if self._formats is None else self._formats & seen(value)
        if self._texts is not None:
            self._texts[value] += 1
            if len(self._texts) > MOST_LISTED or len(value) > _LONGEST_LISTED:
                self._texts = None

    def _object(self, value: dict[str, Any]) -> None:
        if self._open:
            return
        for name, member in value.items():
            self._members.setdefault(name, _Seen(self._depth + 1)).add(member)
        if len(self._members) > MOST_PROPERTIES:
            # Names that differ so much are data themselves.
            self._members, self._open = {}, True

    def _of_texts(self, alone: bool) -> dict[str, Any]:
        strings = self._types["string"]
        if self._formats and strings >= FORMAT_SAMPLES:
            return {"format": min(self._formats)}
        listed = self._texts
        if not alone or listed is None or strings < LIST_SAMPLES or min(listed.values()) < _EACH_AT_LEAST:
            return {}
        return {"enum": sorted(listed)}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return _KINDS[type(value)]


_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
