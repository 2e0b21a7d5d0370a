"""Validation names every fault with its place and code, and a bad event never costs its neighbours."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.limits import Limits
from schemas.validation import NIL_UUID, Checked, Validator

GOOD: dict[str, Any] = {"event_type": "page_view", "event_name": "Home", "platform": "web"}
VALIDATOR = Validator()


def check(*events: Any) -> Checked:
    return VALIDATOR.check([json.dumps(event).encode() for event in events])


def codes(checked: Checked, index: int = 0) -> list[tuple[str, tuple[Any, ...]]]:
    return sorted((fault.code, fault.loc) for fault in checked.faults.get(index, []))


def warned(checked: Checked, index: int = 0) -> list[str]:
    return [fault.code for fault in checked.warnings.get(index, [])]


def test_every_fault_of_an_event_is_reported_with_its_location() -> None:
    event = {"event_type": 1, "properties": [], "timestamp": "1999-01-01T00:00:00Z", "event_id": "x", "session_id": 5}
    assert codes(check(event)) == [
        ("bad_uuid", ("event_id",)),
        ("required", ("event_name",)),
        ("required", ("platform",)),
        ("timestamp_too_old", ("timestamp",)),
        ("wrong_type", ("event_type",)),
        ("wrong_type", ("properties",)),
        ("wrong_type", ("session_id",)),
    ]


def test_faults_json_does_not_have_are_found_beside_those_of_the_model() -> None:
    line = b'{"event_type":"","event_name":"b","platform":"web","properties":{"a":NaN,"b":[1,{"c":-Infinity}],"d":1%s}}'
    assert codes(VALIDATOR.check([line % (b"0" * 20)])) == [
        ("integer_too_large", ("properties", "d")),
        ("not_finite", ("properties", "a")),
        ("not_finite", ("properties", "b", 1, "c")),
        ("too_short", ("event_type",)),
    ]


@pytest.mark.parametrize("bad", [b"{bad", b"5", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"a":"\xff"}', b"", b"{" * 3000])
def test_a_line_that_is_no_event_costs_only_itself(bad: bytes) -> None:
    good = json.dumps(GOOD).encode()
    checked = VALIDATOR.check([good, bad, good])
    assert list(checked.faults) == [1]
    assert checked.events[0] == checked.events[2] == GOOD


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_block_of_any_size_is_judged(count: int) -> None:
    assert len(check(*[GOOD] * count).events) == count


@pytest.mark.parametrize(
    ("field", "limit"),
    [("event_type", 64), ("event_name", 256), ("platform", 32), ("user_id", 256), ("anonymous_id", 256)],
)
def test_text_fields_are_held_to_their_length(field: str, limit: int) -> None:
    assert codes(check({**GOOD, field: "é" * limit})) == []
    assert codes(check({**GOOD, field: "é" * (limit + 1)})) == [("too_long", (field,))]


def _nested(levels: int) -> Any:
    value: Any = {}
    for level in range(levels - 1):
        value = {"deep": value} if level == levels - 2 else [value]
    return value


@pytest.mark.parametrize("field", ["properties", "context"])
def test_nesting_is_held_to_its_limit(field: str) -> None:
    small = Validator(Limits(nesting_levels=4))
    at, over = ({**GOOD, field: _nested(levels)} for levels in (4, 5))
    assert small.check([json.dumps(at).encode()]).faults == {}
    assert codes(small.check([json.dumps(over).encode()]))[0][0] == "too_deep"


def test_event_bytes_are_held_to_their_limit() -> None:
    line = json.dumps(GOOD).encode()
    assert Validator(Limits(event_bytes=len(line))).check([line]).faults == {}
    assert codes(Validator(Limits(event_bytes=len(line) - 1)).check([line])) == [("event_too_large", ())]


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 0, 1e308, -0.0, 2**63])
def test_numbers_of_64_bits_pass(value: float) -> None:
    assert codes(check({**GOOD, "properties": {"n": value}})) == []


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400])
def test_integers_beyond_64_bits_are_a_fault(value: int) -> None:
    assert codes(check({**GOOD, "properties": {"n": value}})) == [("integer_too_large", ("properties", "n"))]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_a_fault(value: float) -> None:
    assert codes(check({**GOOD, "properties": {"n": value}})) == [("not_finite", ("properties", "n"))]


def test_a_lone_surrogate_is_replaced_with_a_warning_and_the_event_kept() -> None:
    checked = VALIDATOR.check(
        [b'{"event_type":"a","event_name":"b","platform":"web","properties":{"t\\udc00":"x \\ud83d"}}']
    )
    assert checked.faults == {}
    assert warned(checked) == ["surrogate_replaced"]
    assert checked.events[0] is not None
    assert checked.events[0]["properties"] == {"t\ufffd": "x \ufffd"}
    assert json.loads(checked.repaired[0])["properties"] == {"t\ufffd": "x \ufffd"}


def test_a_whole_emoji_in_escapes_is_left_alone() -> None:
    checked = VALIDATOR.check([b'{"event_type":"a","event_name":"\\ud83d\\ude00","platform":"web"}'])
    assert checked.warnings == {}
    assert checked.events[0] is not None
    assert checked.events[0]["event_name"] == "😀"


@pytest.mark.parametrize("field", ["event_id", "timestamp", "session_id", "user_id", "anonymous_id"])
def test_an_empty_optional_field_counts_as_absent_with_a_warning(field: str) -> None:
    checked = check({**GOOD, field: ""})
    assert checked.events[0] == GOOD
    assert warned(checked) == ["empty_is_absent"]


@pytest.mark.parametrize("field", ["event_type", "event_name", "platform"])
def test_an_empty_required_field_is_a_fault(field: str) -> None:
    assert codes(check({**GOOD, field: ""})) == [("too_short", (field,))]


def test_an_unknown_field_is_a_warning_that_names_it() -> None:
    checked = check({**GOOD, "colour": "red"})
    assert checked.faults == {}
    assert checked.warnings[0][0].loc == ("colour",)


def test_the_nil_uuid_is_no_identity() -> None:
    assert codes(check({**GOOD, "event_id": NIL_UUID})) == [("nil_uuid", ("event_id",))]


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-24T10:00:00Z",
        "2026-11-24t10:00:00z",
        "2026-11-24 10:00:00.1+05:30",
        "2026-11-24T10:00:00.123456789Z",
        "2024-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2000-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        946684800,
        946684800000,
        1700000000.25,
    ],
)
def test_timestamps_of_the_contract_pass(timestamp: Any) -> None:
    assert codes(check({**GOOD, "timestamp": timestamp})) == []


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        ("1999-12-31T23:59:59.999999999Z", "timestamp_too_old"),
        ("2000-01-01T01:00:00+02:00", "timestamp_too_old"),
        (946684799.9, "timestamp_too_old"),
        (99999999999.0, None),
        (-1, "timestamp_too_old"),
        (1e11, "timestamp_too_old"),
        ("2023-02-29T00:00:00Z", "bad_timestamp"),
        ("2026-11-31T00:00:00Z", "bad_timestamp"),
        ("2026-13-01T00:00:00Z", "bad_timestamp"),
        ("2026-11-24T24:00:00Z", "bad_timestamp"),
        ("2026-11-24", "bad_timestamp"),
        ("yesterday", "bad_timestamp"),
        ("2026-11-24T10:00:00+25:00", "bad_timestamp"),
        (True, "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_timestamps_outside_the_contract_are_named(timestamp: Any, code: str | None) -> None:
    assert [found for found, _ in codes(check({**GOOD, "timestamp": timestamp}))] == ([code] if code else [])


def test_a_timestamp_without_offset_is_a_warning() -> None:
    assert warned(check({**GOOD, "timestamp": "2026-11-24T10:00:00"})) == ["timestamp_without_offset"]
    assert warned(check({**GOOD, "timestamp": "2026-11-24T10:00:00-05:00"})) == []


_scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_json = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "event_id", "timestamp", "session_id", "user_id", "properties", "x"]), _json
    )
)
def test_whatever_stands_in_a_field_the_verdict_is_faults_or_an_event(event: dict[str, Any]) -> None:
    good = json.dumps(GOOD).encode()
    checked = VALIDATOR.check([good, json.dumps(event).encode(), good])
    assert (checked.events[1] is None) == (1 in checked.faults)
    assert checked.events[0] == checked.events[2] == GOOD


@given(st.binary(max_size=200))
def test_no_bytes_make_validation_raise(line: bytes) -> None:
    VALIDATOR.check([line.replace(b"\n", b" ")])


DIGITS = {
    "Arabic-Indic": "٠١٢٣٤٥٦٧٨٩",
    "fullwidth": "０１２３４５６７８９",
    "mathematical": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
}


MOMENT = "2026-01-01T00:00:00.000+00:00"


@pytest.mark.parametrize("digits", DIGITS.values(), ids=DIGITS)
@pytest.mark.parametrize("place", [place for place, one in enumerate(MOMENT) if one.isdigit()])
def test_digits_of_other_scripts_make_no_time_and_cost_no_neighbour(digits: str, place: int) -> None:
    text = f"{MOMENT[:place]}{digits[int(MOMENT[place])]}{MOMENT[place + 1 :]}"
    checked = check(GOOD, {**GOOD, "timestamp": text}, {**GOOD, "sent_at": text})
    assert [event is not None for event in checked.events] == [True, False, False]
    assert [checked.faults[index][0].code for index in (1, 2)] == ["bad_timestamp", "bad_timestamp"]


@pytest.mark.parametrize("field", ["properties", "context"])
@pytest.mark.parametrize("value", [[1], "x", 1, True])
def test_what_is_no_object_is_told_in_the_words_of_json(field: str, value: Any) -> None:
    [fault] = check({**GOOD, field: value}).faults[0]
    assert fault.message == "Input should be an object."
