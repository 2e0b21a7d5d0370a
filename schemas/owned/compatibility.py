"""Whether all that is valid under one schema stays valid under another. Pure, and wrong on one side only.

When nothing is told, every document that the older schema takes is taken by the newer one. What is told may, in an odd
case, be a change that refuses nothing: it is for a person to say so, by a new major version. Rules, by keyword:

type narrowed · enum or const narrowed · required added · a bound tightened (minimum, maxLength, …) · a pattern, format,
multipleOf or uniqueItems added or changed · a property or item narrowed, or no longer taken (additionalProperties) ·
and of keywords that combine schemas (oneOf, not, if, contains, …): any change.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from schemas.owned.keywords import ANNOTATIONS, OWN, Path, Schema, pointer
from schemas.owned.references import inlined

Node = Mapping[str, Any]
_INTEGER_TOO = {"number": {"number", "integer"}}
_LEAST = ("minLength", "minItems", "minProperties")
_MOST = ("maxLength", "maxItems", "maxProperties")
_SAME = ("pattern", "format")
# Each group is one rule; when any of it differs, only equal ones are known to agree.
_GROUPS = (
    ("contains", "minContains", "maxContains"),
    ("if", "then", "else"),
    ("oneOf",),
    ("not",),
    ("dependentSchemas",),
    ("dependentRequired",),
)
_GUARDS = frozenset({"unevaluatedProperties", "unevaluatedItems"})


class Break(NamedTuple):
    """What the newer schema refuses and the older one takes: the rule, where in the newer schema, and a sentence."""

    rule: str
    place: str
    message: str


def breaks(older: Schema, newer: Schema) -> list[Break]:
    """All that is known to break. Raises :class:`~schemas.owned.references.BadReference`."""
    return list(_breaks(_plain(inlined(older)), _plain(inlined(newer)), ()))


def _plain(schema: Any) -> Any:
    """A schema without what judges nothing; ``true`` as the schema it is. Inner schemas are made plain when met."""
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        return schema
    return {name: value for name, value in schema.items() if name not in ANNOTATIONS and not name.startswith(OWN)}


def _breaks(older: Any, newer: Any, path: Path) -> Iterator[Break]:
    older, newer = _plain(older), _plain(newer)
    if older is False or newer == {} or _text(older) == _text(newer):
        return
    if newer is False:
        yield Break("refused", pointer(path), "Nothing is taken here any more.")
    elif older.keys() & _GUARDS or newer.keys() & _GUARDS:
        yield Break("unevaluated", pointer(path), "Beside unevaluated… no change is known to be safe.")
    else:
        yield from chain.from_iterable(rule(older, newer, path) for rule in _RULES)


def _type(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    if "type" not in newer:
        return
    taken = set(chain.from_iterable(_INTEGER_TOO.get(one, {one}) for one in _listed(newer["type"])))
    lost = set(_listed(older["type"])) - taken if "type" in older else {"any"}
    if lost:
        told = "any type" if "type" not in older else ", ".join(sorted(lost))
        yield Break("type", pointer((*path, "type")), f"{told.capitalize()} was taken, and is no longer.")


def _values(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    wanted = _enumerated(newer)
    if wanted is None:
        return
    had = _enumerated(older)
    if had is None or not had <= wanted:
        keyword = "enum" if "enum" in newer else "const"
        lost = "Any value" if had is None else f"{len(had - wanted)} of the values"
        yield Break("enum", pointer((*path, keyword)), f"{lost} that was taken is no longer.")


def _required(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    for name in sorted(set(newer.get("required", ())) - set(older.get("required", ()))):
        yield Break("required", pointer((*path, "required")), f"{name} is required, and was not.")


def _bounds(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    for names, tighter in ((_LEAST, _more), (_MOST, _less)):
        for name in names:
            if name in newer and tighter(newer[name], older.get(name, 0 if names is _LEAST else None)):
                yield Break("bound", pointer((*path, name)), f"{name} is tighter than it was.")
    for name, exclusive, beyond in (("minimum", "exclusiveMinimum", _more), ("maximum", "exclusiveMaximum", _less)):
        if name in newer and beyond(newer[name], older.get(name)) and beyond(newer[name], older.get(exclusive)):
            yield Break("bound", pointer((*path, name)), f"{name} is tighter than it was.")
        if exclusive in newer:
            limit, had = newer[exclusive], older.get(name)
            inside = had is not None and beyond(had, limit)
            if beyond(limit, older.get(exclusive)) and not inside:
                yield Break("bound", pointer((*path, exclusive)), f"{exclusive} is tighter than it was.")


def _same(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    for name in _SAME:
        if name in newer and newer[name] != older.get(name):
            yield Break(name, pointer((*path, name)), f"{name} is new or another one.")
    if newer.get("uniqueItems") and not older.get("uniqueItems"):
        yield Break("uniqueItems", pointer((*path, "uniqueItems")), "Items could be there twice.")
    if "multipleOf" in newer and newer["multipleOf"] != older.get("multipleOf"):
        yield Break("multipleOf", pointer((*path, "multipleOf")), "multipleOf is new or another one.")


def _properties(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    had, has = older.get("properties", {}), newer.get("properties", {})
    patterns_had, patterns = older.get("patternProperties", {}), newer.get("patternProperties", {})
    rest_had, rest = older.get("additionalProperties", True), newer.get("additionalProperties", True)
    for name, schema in has.items():
        # What an older pattern asks for on top is not counted on.
        unnamed = True if patterns_had else rest_had
        yield from _breaks(had.get(name, unnamed), schema, (*path, "properties", name))
    for name, schema in had.items():
        if name not in has:
            yield from _gone("property", _breaks(schema, rest, (*path, "properties", name)), rest)
    for name, schema in patterns.items():
        yield from _breaks(patterns_had.get(name, True), schema, (*path, "patternProperties", name))
    for name, schema in patterns_had.items():
        if name not in patterns:
            yield from _gone("property", _breaks(schema, rest, (*path, "patternProperties", name)), rest)
    yield from _breaks(rest_had, rest, (*path, "additionalProperties"))
    yield from _breaks(older.get("propertyNames", True), newer.get("propertyNames", True), (*path, "propertyNames"))


def _gone(what: str, found: Iterable[Break], rest: Schema) -> Iterator[Break]:
    """The breaks of something that fell to the rest, under a name of their own where the rest takes nothing."""
    for one in found:
        yield Break("removed", one.place, f"This {what} is no longer taken.") if rest is False else one


def _items(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    had, has = older.get("prefixItems", []), newer.get("prefixItems", [])
    rest_had, rest = older.get("items", True), newer.get("items", True)
    for place, schema in enumerate(has):
        yield from _breaks(had[place] if place < len(had) else rest_had, schema, (*path, "prefixItems", place))
    for place, schema in enumerate(had[len(has) :], len(has)):
        yield from _gone("item", _breaks(schema, rest, (*path, "prefixItems", place)), rest)
    yield from _breaks(rest_had, rest, (*path, "items"))


def _combined(older: Node, newer: Node, path: Path) -> Iterator[Break]:
    held = {_text(one) for one in older.get("allOf", ())}
    for place, schema in enumerate(newer.get("allOf", ())):
        if _text(schema) not in held:
            yield from _breaks(older, schema, (*path, "allOf", place))
    if "anyOf" in newer and not _each_has_one(older, newer["anyOf"]):
        yield Break("anyOf", pointer((*path, "anyOf")), "Not all that was taken is known to be taken by one of these.")
    for names in _GROUPS:
        differs = any(_text(older.get(name)) != _text(newer.get(name)) for name in names)
        if differs and any(name in newer for name in names):
            yield Break(
                names[0], pointer((*path, names[0])), f"Changed, and no change of {names[0]} is known to be safe."
            )


def _each_has_one(older: Node, branches: list[Any]) -> bool:
    """Whether whatever is taken by the older schema is taken by a branch: as a whole, or branch by branch."""

    def taken(schema: Any) -> bool:
        return any(not any(_breaks(schema, branch, ())) for branch in branches)

    return taken(older) or ("anyOf" in older and all(taken(one) for one in older["anyOf"]))


_RULES: tuple[Callable[[Node, Node, Path], Iterator[Break]], ...] = (
    _type,
    _values,
    _required,
    _bounds,
    _same,
    _properties,
    _items,
    _combined,
)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _enumerated(schema: Node) -> set[str] | None:
    """The values a schema lists, as text; None when it lists none."""
    listed: set[str] | None = {_text(one) for one in schema["enum"]} if "enum" in schema else None
    if "const" not in schema:
        return listed
    return {_text(schema["const"])} if listed is None else listed & {_text(schema["const"])}


def _text(value: Any) -> str:
    """A value to compare: 1, 1.0 and true are three, and the order of names is none."""
    return json.dumps(value, sort_keys=True)


def _more(value: float, bound: float | None) -> bool:
    return bound is None or value > bound


def _less(value: float, bound: float | None) -> bool:
    return bound is None or value < bound
