"""A patch changes what it names and leaves all else as the text it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import patch

_names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=6)
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
_documents = st.dictionaries(
    _names,
    st.recursive(_scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner)),
    max_size=5,
)


def dotted(*names: str) -> str:
    return ".".join(name.replace(".", "\\.") for name in names)


def applied(operations: list[dict[str, Any]], event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(patch.apply(patch.read(json.dumps(operations)), json.dumps(event).encode()))
    return found


def usable(name: str) -> bool:
    return name != "event_id" and "\\" not in name


@given(_documents, _names.filter(usable), _names.filter(usable), _scalars)
def test_a_field_that_is_set_is_there_and_its_neighbours_are_as_they_were(
    event: dict[str, Any], outer: str, inner: str, value: Any
) -> None:
    event = {**event, outer: {"neighbour": 1.0}}
    found = applied([{"op": "set", "path": dotted(outer, inner), "value": value}], event)
    assert found == {**event, outer: {"neighbour": 1.0, inner: value}}


@given(_documents, _names.filter(usable))
def test_a_field_that_is_dropped_is_gone_and_dropped_again_changes_nothing(event: dict[str, Any], name: str) -> None:
    once = applied([{"op": "drop", "path": dotted(name)}], {**event, name: 1})
    assert once == {key: value for key, value in event.items() if key != name}
    assert applied([{"op": "drop", "path": dotted(name)}], once) == once


@given(_documents, _names.filter(usable), _names.filter(usable))
def test_a_field_moved_and_moved_back_is_where_it_was(event: dict[str, Any], name: str, other: str) -> None:
    event = {key: value for key, value in event.items() if key not in (name, other)}
    moved = [
        {"op": "rename", "path": dotted(name), "to": dotted("to", other)},
        {"op": "rename", "path": dotted("to", other), "to": dotted(name)},
    ]
    if name != "to" and "to" not in event:
        assert applied(moved, {**event, name: [1]}) == {**event, name: [1], "to": {}}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b'{"a": 1.00,  "b":"\\u00e9"}', b'{"a":1.00,"b":"\\u00e9","c":1}'),
        (b'{"a":1e400}', b'{"a":1e400,"c":1}'),
        (b'{"a":"\\ud800"}', b'{"a":"\\ud800","c":1}'),
        (b'{"a":NaN}', b'{"a":NaN,"c":1}'),
        (b'{"a":12345678901234567890123}', b'{"a":12345678901234567890123,"c":1}'),
    ],
)
def test_what_is_not_touched_stays_as_it_was_written(line: bytes, wanted: bytes) -> None:
    assert patch.apply(patch.read(b'[{"op":"set","path":"c","value":1}]'), line) == wanted


def test_a_patch_that_changes_nothing_gives_the_very_bytes() -> None:
    line = b'{ "a" : 1 }'
    assert patch.apply(patch.read(b'[{"op":"drop","path":"x.y"},{"op":"rename","path":"q","to":"r"}]'), line) is line


def test_what_is_at_fault_can_be_dropped_from_json_that_no_reader_takes() -> None:
    drop = patch.read(b'[{"op":"drop","path":"properties.amount"}]')
    assert patch.apply(drop, b'{"properties":{"amount":NaN,"plan":"pro"}}') == b'{"properties":{"plan":"pro"}}'


@pytest.mark.parametrize("line", [b"", b"not", b"[]", b"7", b"null", b'"a"', b"\xff", b"{", b"[" * 10_000])
def test_what_is_no_object_cannot_be_patched(line: bytes) -> None:
    with pytest.raises(patch.PatchError):
        patch.apply(patch.read(b'[{"op":"set","path":"a","value":1}]'), line)


def test_nothing_is_set_inside_what_is_no_object() -> None:
    with pytest.raises(patch.PatchError, match="properties is no object"):
        patch.apply(patch.read(b'[{"op":"set","path":"properties.a","value":1}]'), b'{"properties":[1]}')


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "{}",
        "[7]",
        '[{"op":"zap","path":"a"}]',
        '[{"op":"set","path":"a"}]',
        '[{"op":"drop","path":"a","value":1}]',
        '[{"op":"drop","path":""}]',
        '[{"op":"drop","path":"a..b"}]',
        '[{"op":"set","path":"event_id","value":"x"}]',
        '[{"op":"rename","path":"event_id","to":"x"}]',
        '[{"op":"rename","path":"x","to":"event_id"}]',
        '[{"op":"drop","path":"event_id.x"}]',
        '[{"op":"rename","path":"a","to":"a.b"}]',
        json.dumps([{"op": "drop", "path": "a"}] * (patch.MAX_OPERATIONS + 1)),
        json.dumps([{"op": "drop", "path": "a" * (patch.MAX_PATH + 1)}]),
        json.dumps([{"op": "drop", "path": ".".join("a" * (patch.MAX_DEPTH + 1))}]),
    ],
)
def test_what_is_no_patch_is_refused(text: str) -> None:
    with pytest.raises(patch.PatchError):
        patch.read(text)


def test_patches_are_taken_up_to_their_bounds() -> None:
    patch.read(json.dumps([{"op": "drop", "path": "a" * patch.MAX_PATH}] * patch.MAX_OPERATIONS))
    patch.read(json.dumps([{"op": "drop", "path": ".".join("a" * patch.MAX_DEPTH)}]))


@given(st.binary(max_size=80))
def test_no_bytes_make_it_raise_anything_else(line: bytes) -> None:
    try:
        patch.apply(patch.read(b'[{"op":"set","path":"a.b","value":1},{"op":"drop","path":"c.d"}]'), line)
    except patch.PatchError:
        return
