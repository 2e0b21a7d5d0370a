"""What is said to be compatible is: no document that the older schema takes is refused by the newer one."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from schemas.owned.compatibility import breaks

NAMES = ("a", "b", "cc")
names = st.sampled_from(NAMES)
numbers = st.sampled_from([-1, 0, 0.5, 1, 2, 3])
counts = st.integers(0, 3)
kinds = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(["", "a", "bb", "2020-01-01"]))
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "d"]), inner, max_size=4),
    max_leaves=8,
)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = {
        "type": kinds | st.lists(kinds, min_size=1, max_size=3, unique=True),
        "enum": st.lists(scalars, min_size=1, max_size=4),
        "const": scalars,
        "minimum": numbers, "maximum": numbers, "exclusiveMinimum": numbers, "exclusiveMaximum": numbers,
        "multipleOf": st.sampled_from([0.5, 1, 2]),
        "minLength": counts, "maxLength": counts, "pattern": st.sampled_from(["^a", "b"]),
        "format": st.sampled_from(["date", "ipv4"]),
        "minItems": counts, "maxItems": counts, "uniqueItems": st.booleans(),
        "minProperties": counts, "maxProperties": counts,
        "required": st.lists(names, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=1),
        "properties": st.dictionaries(names, inner, max_size=3),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "c"]), inner, max_size=2),
        "additionalProperties": inner, "propertyNames": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2), "items": inner,
        "contains": inner, "minContains": counts, "maxContains": counts,
        "allOf": st.lists(inner, min_size=1, max_size=2), "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2), "not": inner, "if": inner, "then": inner, "else": inner,
        "unevaluatedProperties": st.booleans(),
        "title": st.just("t"),
    }  # fmt: skip
    chosen = st.lists(st.sampled_from(sorted(some)), max_size=3, unique=True)
    return chosen.flatmap(lambda keys: st.fixed_dictionaries({key: some[key] for key in keys}))


schemas = st.recursive(st.booleans() | _schemas(st.booleans()), _schemas, max_leaves=6)


@st.composite
def changed(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and what somebody made of it: a keyword more, one less, or one of its schemas changed."""
    older = draw(schemas)
    if not isinstance(older, dict):
        return older, draw(schemas)
    newer = dict(older)
    for name in draw(st.lists(st.sampled_from(sorted(newer)), max_size=2)) if newer else ():
        newer.pop(name, None)
    if draw(st.booleans()):
        more = draw(_schemas(schemas))
        newer |= more
    return older, newer


def _validator(schema: Any) -> Any:
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


@settings(max_examples=250, deadline=None)
@given(changed(), st.lists(documents, min_size=5, max_size=30))
def test_what_is_said_to_be_compatible_refuses_nothing_that_was_taken(pair: tuple[Any, Any], sent: list[Any]) -> None:
    older, newer = pair
    if breaks(older, newer):
        event("broken")
        return
    event("same" if older == newer else "compatible")
    was, now = _validator(older), _validator(newer)
    for document in sent:
        assert not was.is_valid(document) or now.is_valid(document)


@settings(max_examples=60, deadline=None)
@given(schemas)
def test_a_schema_is_compatible_with_itself_and_with_the_one_that_takes_all(schema: Any) -> None:
    assert breaks(schema, schema) == []
    assert breaks(schema, True) == []
    assert breaks(False, schema) == []


OPEN: dict[str, Any] = {"properties": {"a": {"type": "string"}}}
CLOSED: dict[str, Any] = {**OPEN, "additionalProperties": False}


@pytest.mark.parametrize(
    ("older", "newer", "rules"),
    [
        ({"type": "number"}, {"type": "integer"}, ["type"]),
        ({"type": "integer"}, {"type": "number"}, []),
        ({}, {"type": "string"}, ["type"]),
        ({"type": "string"}, {"type": ["string", "null"]}, []),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, ["enum"]),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, []),
        ({"const": 1}, {"enum": [1, 2]}, []),
        ({"enum": [1]}, {"const": True}, ["enum"]),
        ({"required": ["a"]}, {"required": ["a", "b"]}, ["required"]),
        ({"required": ["a", "b"]}, {"required": ["a"]}, []),
        ({"minimum": 1}, {"minimum": 2}, ["bound"]),
        ({"minimum": 2}, {"minimum": 1}, []),
        ({"minimum": 1}, {"exclusiveMinimum": 1}, ["bound"]),
        ({"exclusiveMinimum": 1}, {"minimum": 1}, []),
        ({"minimum": 2}, {"exclusiveMinimum": 1}, []),
        ({"maximum": 1}, {"exclusiveMaximum": 1}, ["bound"]),
        ({"maxLength": 3}, {"maxLength": 2}, ["bound"]),
        ({}, {"maxLength": 2}, ["bound"]),
        ({}, {"minLength": 0}, []),
        ({"maxItems": 2}, {"maxItems": 3}, []),
        ({}, {"pattern": "a"}, ["pattern"]),
        ({"format": "uuid"}, {}, []),
        ({"format": "uuid"}, {"format": "date"}, ["format"]),
        ({}, {"uniqueItems": True}, ["uniqueItems"]),
        (CLOSED, {"additionalProperties": False}, ["removed"]),
        (
            CLOSED,
            {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "additionalProperties": False},
            [],
        ),
        (OPEN, {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}, ["type"]),
        (CLOSED, OPEN, []),
        (OPEN, CLOSED, ["refused"]),
        ({"properties": {"a": {"minimum": 1}}}, {"properties": {"a": {"minimum": 2}}}, ["bound"]),
        ({"items": {"minimum": 1}}, {"items": {"minimum": 2}}, ["bound"]),
        ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        ({"type": "string"}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, ["anyOf"]),
        ({}, {"not": {"type": "null"}}, ["not"]),
        ({"title": "x", "description": "d"}, {"title": "y", "x-owner": "team"}, []),
    ],
)
def test_each_rule(older: Any, newer: Any, rules: list[str]) -> None:
    assert [one.rule for one in breaks(older, newer)] == rules


def test_a_reference_is_what_it_refers_to() -> None:
    older = {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"minimum": 1}}}
    assert breaks(older, {"properties": {"a": {"minimum": 1}}}) == []
    (found,) = breaks(older, {**older, "$defs": {"x": {"minimum": 2}}})
    assert (found.rule, found.place) == ("bound", "#/properties/a/minimum")


@settings(max_examples=50, deadline=None)
@given(schemas, schemas)
def test_any_two_schemas_can_be_compared(older: Any, newer: Any) -> None:
    assume(older != newer)
    breaks(older, newer)
