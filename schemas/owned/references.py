"""``$ref``: only into the document itself, and never around in a circle, so that judging an event has an end.

Nothing is ever fetched. A reference is replaced by what it refers to, and the size of the result is bounded: a few
lines that refer to each other twice over would else make a schema of millions.
"""

from collections.abc import Iterator
from typing import Any

from schemas.owned.keywords import ANNOTATIONS, LISTS, NAMED, ONE, Path, Schema, pointer

MOST_NODES = 20_000


class BadReference(ValueError):
    """A reference that is not taken. The message says where and why."""


def inlined(document: Schema) -> Schema:
    """The document without references. Raises :class:`BadReference`."""
    made: Schema = _Inliner(document).schema(document, (), ())
    return made


class _Inliner:
    def __init__(self, document: Schema) -> None:
        self._document = document
        self._nodes = 0

    def schema(self, node: Any, path: Path, open_references: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise BadReference(f"more than {MOST_NODES} schemas, references followed")
        if not isinstance(node, dict):
            return node
        made = {
            keyword: self._value(keyword, value, (*path, keyword), open_references)
            for keyword, value in node.items()
            if keyword not in ("$defs", "$ref")
        }
        if "$ref" not in node:
            return made
        target = self._followed(node["$ref"], path, open_references)
        if made.keys() <= ANNOTATIONS:
            return target
        return {**made, "allOf": [*made.get("allOf", ()), target]}

    def _value(self, keyword: str, value: Any, path: Path, open_references: tuple[str, ...]) -> Any:
        if keyword in ONE:
            return self.schema(value, path, open_references)
        if keyword in LISTS and isinstance(value, list):
            return [self.schema(one, (*path, place), open_references) for place, one in enumerate(value)]
        if keyword in NAMED and isinstance(value, dict):
            return {name: self.schema(one, (*path, name), open_references) for name, one in value.items()}
        return value

    def _followed(self, reference: Any, path: Path, open_references: tuple[str, ...]) -> Any:
        place = f"{pointer(path)}/$ref"
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise BadReference(f"{place}: only references into the document itself are followed, such as #/$defs/money")
        if reference in open_references or reference == "#":
            raise BadReference(f"{place}: {reference} leads back to itself")
        target = self._document
        for part in _parts(reference):
            target = _step(target, part)
            if target is None:
                raise BadReference(f"{place}: there is no {reference}")
        return self.schema(target, (*path, "$ref"), (*open_references, reference))


def _parts(reference: str) -> Iterator[str]:
    return (part.replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/"))


def _step(node: Any, part: str) -> Any:
    if isinstance(node, list):
        return node[int(part)] if part.isdecimal() and int(part) < len(node) else None
    return node.get(part) if isinstance(node, dict) else None
