"""A body is cut into the bytes of its events, or refused as a whole with a code."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.splitting import BodyError, single, split_batch, split_ndjson


@pytest.mark.parametrize(
    ("body", "events", "sent_at"),
    [
        (b'[{"a":1},{"b":2}]', [b'{"a":1}', b'{"b":2}'], b""),
        (b' [ {"a" : 1 } , 5 ] ', [b'{"a" : 1 }', b"5"], b""),
        (b'{"events":[{"a":1}],"sent_at":"x"}', [b'{"a":1}'], b'"x"'),
        (b'{"sent_at":7,"other":[1],"events":[{"a":1}]}', [b'{"a":1}'], b"7"),
        (b'{"events":[]}', [], b""),
        (b'[{"a":\n1}]', [b'{"a": 1}'], b""),
        (b'[{"a":NaN},{"b":"\\ud800"}]', [b'{"a":NaN}', b'{"b":"\\ud800"}'], b""),
        (b'{"x":[1,{"events":[9]}],"events":[{"a":NaN} , 2],"sent_at":3}', [b'{"a":NaN}', b"2"], b"3"),
    ],
)
def test_a_batch_is_cut_into_the_bytes_of_its_events(body: bytes, events: list[bytes], sent_at: bytes) -> None:
    assert split_batch(body) == (events, sent_at)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"[{]", "malformed_json"),
        (b'[{"a":1}', "malformed_json"),
        (b'[{"a":nul}]', "malformed_json"),
        (b"[1] 2", "malformed_json"),
        (b'"text"', "not_a_batch"),
        (b"{}", "not_a_batch"),
        (b'{"events":{}}', "not_a_batch"),
        (b'[{"a":"\xff"}, nul]', "invalid_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b'[{"n":NaN},1' + b"0" * 5000 + b"]", "integer_too_large"),
    ],
)
def test_a_body_that_cannot_be_cut_is_refused_with_a_code(body: bytes, code: str) -> None:
    with pytest.raises(BodyError) as caught:
        split_batch(body)
    assert caught.value.code == code


def test_ndjson_keeps_broken_lines_for_their_own_verdict() -> None:
    assert split_ndjson(b'{"a":1}\r\n\n  \nbroken\n{"b":2}') == ([b'{"a":1}', b"broken", b'{"b":2}'], b"")


def test_a_single_event_is_one_object() -> None:
    assert single(b'{"a":\r\n1}\n').events == [b'{"a":  1}']
    for body, code in ((b"[]", "not_an_object"), (b"{", "malformed_json"), (b"{} {}", "malformed_json")):
        with pytest.raises(BodyError) as caught:
            single(body)
        assert caught.value.code == code


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.lists(_json, max_size=5), st.sampled_from([None, 2]))
def test_the_cut_events_are_the_events_in_order(events: list[Any], indent: int | None) -> None:
    body = json.dumps({"events": events}, indent=indent).encode()
    assert [json.dumps(json.loads(line)) for line in split_batch(body).events] == [
        json.dumps(event) for event in events
    ]
