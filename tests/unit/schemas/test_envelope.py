"""A message carries the events byte for byte, as clean text, and is recognised when it comes again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.collect.packing import cut
from schemas.envelope import CURRENT_VERSION, EnvelopeError, Header, NewerEnvelope, content_id, is_text, unpack

HEADER = Header(batch_id="0193a1b2-c3d4-8e5f-8a9b-0000000b0001", batch_size=1, key_id="k", received_at=1)
LINES = st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), min_size=1)


@given(LINES, st.integers(700, 2_000))
def test_whatever_the_lines_they_arrive_as_they_were_in_messages_of_text(lines: list[bytes], limit: int) -> None:
    sent = [part.message for part in cut(HEADER, lines, limit)]
    read = [unpack(message.body) for message in sent]
    assert [line for envelope in read for line in envelope.events] == lines
    assert all(is_text(part) for message in sent for part in message.body.split(b"\n"))


@given(LINES)
def test_no_message_passes_the_limit_while_one_event_fits(lines: list[bytes]) -> None:
    assert all(len(message.body) <= 900 for message in (part.message for part in cut(HEADER, lines, 900)))


def test_assigned_ids_travel_with_their_events() -> None:
    header = HEADER.model_copy(update={"ids": {0: "a", 3: "d"}})
    sent = [part.message for part in cut(header, [b"x" * 300] * 4, 1_300)]
    assert len(sent) > 1
    assert {index: own for message in sent for index, own in unpack(message.body).header.ids.items()} == header.ids


def test_the_content_id_is_of_the_events_and_their_ids_alone() -> None:
    assert content_id("k", {}, [b"a", b"b"]) == content_id("k", {}, [b"a", b"b"])
    different = [("j", {}, [b"a", b"b"]), ("k", {}, [b"ab"]), ("k", {0: "x"}, [b"a", b"b"]), ("k", {}, [b"b", b"a"])]
    assert len({content_id(*content) for content in different} | {content_id("k", {}, [b"a", b"b"])}) == 5
    assert content_id("k", {}, [b"a"]).version == 8


@pytest.mark.parametrize(
    "body", [b"", b"not", b"{}", b"[]", b"7", b"null", b'{"v":9}', b'{"v":1}', b'{"v":2}\n{}', b"\xff"]
)
def test_what_is_no_envelope_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(EnvelopeError):
        unpack(body)


@given(st.binary(max_size=100))
def test_no_bytes_make_unpack_raise_anything_else(body: bytes) -> None:
    try:
        unpack(body)
    except (EnvelopeError, NewerEnvelope):
        return


def test_an_envelope_of_a_newer_release_is_told_from_one_that_is_none() -> None:
    header = {"batch_id": "b", "batch_size": 1, "key_id": "k", "received_at": 1}
    with pytest.raises(NewerEnvelope, match=f"version {CURRENT_VERSION + 1}"):
        unpack(json.dumps({"v": CURRENT_VERSION + 1, **header}).encode() + b"\n{}")
    with pytest.raises(EnvelopeError):
        unpack(b'{"v": 99}')
    for version in (True, "3", 0, -1):
        with pytest.raises(EnvelopeError):
            unpack(json.dumps({"v": version, **header}).encode())
