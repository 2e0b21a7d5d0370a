"""What is made of samples takes every one of them, and says no more than they do."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.owned import inference
from schemas.owned.compiling import compiled
from schemas.owned.formats import PATTERNS, seen
from schemas.owned.inference import Samples

texts = st.one_of(
    st.text(max_size=20), st.uuids().map(str), st.datetimes().map(lambda at: at.isoformat() + "Z"), st.emails(),
    st.ip_addresses(v=4).map(str), st.sampled_from(["a", "b"]), st.dates().map(str),
)  # fmt: skip
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
events = st.lists(
    st.fixed_dictionaries({}, optional={"properties": st.none() | st.dictionaries(st.text(max_size=2), values)}),
    min_size=1,
    max_size=40,
)


def inferred(sent: list[dict[str, Any]]) -> dict[str, Any]:
    samples = Samples("X")
    for one in sent:
        samples.add(one)
    return samples.schema()


def of(*given: Any) -> Any:
    """What is made of a property that had these values."""
    return inferred([{"properties": {"p": value}} for value in given])["properties"]["properties"]["properties"]["p"]


@settings(max_examples=100, deadline=None)
@given(events)
def test_every_sample_is_valid(sent: list[dict[str, Any]]) -> None:
    validator = compiled(inferred(sent))
    for one in sent:
        assert validator.is_valid({"event_name": "X", **one})


@pytest.mark.parametrize("name", sorted(PATTERNS))
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_format_that_is_seen_is_one(name: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(PATTERNS[name], fullmatch=True))
    assert jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True).is_valid(text)


def test_an_address_longer_than_mail_allows_is_none() -> None:
    part = ".".join(["a" * 15] * 4)
    assert "email" in seen(f"{part}@{part}.com")
    assert "email" not in seen(f"{part}a@b.com") | seen(f"a@{'a' * 64}.com")


def test_types_are_those_that_were_seen() -> None:
    assert of(1) == {"type": "integer"}
    assert of(1, 2.5) == {"type": "number"}
    assert of(1, None, "a") == {"type": ["integer", "null", "string"]}
    assert of([1], ["a"], []) == {"type": "array", "items": {"type": ["integer", "string"]}}
    assert of([]) == {"type": "array"}


def test_what_was_always_there_is_required() -> None:
    made = inferred([{"properties": {"a": 1, "b": 1}}, {"properties": {"b": None}}])
    assert made["required"] == ["properties"]
    assert made["properties"]["properties"]["required"] == ["b"]
    assert "required" not in inferred([{"properties": {"a": 1}}, {}])


def test_values_are_listed_only_when_they_are_clear() -> None:
    many = inference.LIST_SAMPLES // 2
    assert of(*["free", "pro"] * many) == {"type": "string", "enum": ["free", "pro"]}
    assert of(*(["free", "pro"] * many)[1:]) == {"type": "string"}
    assert of(*["free", "pro"] * many, "team") == {"type": "string"}
    assert of(*[f"n{n}" for n in range(inference.MOST_LISTED)] * 10)["enum"]
    assert of(*[f"n{n}" for n in range(inference.MOST_LISTED + 1)] * 10) == {"type": "string"}
    assert of(*["ann@example.org", "bob@example.org"] * many) == {"type": "string", "format": "email"}


def test_a_format_needs_enough_samples() -> None:
    day = "2026-01-02"
    assert of(*[day] * inference.FORMAT_SAMPLES) == {"type": "string", "format": "date"}
    assert of(*[day] * (inference.FORMAT_SAMPLES - 1)) == {"type": "string"}
    assert of(*[day] * 10, "soon") == {"type": "string"}


def test_what_is_remembered_is_bounded() -> None:
    one = {f"k{n}": {"x": 1} for n in range(inference.MOST_PROPERTIES)}
    assert len(of(one)["properties"]) == inference.MOST_PROPERTIES
    assert of({**one, "more": 1}) == {"type": "object"}
    deep: Any = 1
    for _ in range(inference.DEEPEST + 5):
        deep = {"d": deep}
    compiled(inferred([{"properties": deep}]))
