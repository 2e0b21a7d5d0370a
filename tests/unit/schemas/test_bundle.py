"""What a replay brings again arrives under the headers it first came in, whatever the bytes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import patch
from schemas.bundle import Again, Part, PartHeader, deliveries, pack
from schemas.envelope import EnvelopeError, Header, NewerEnvelope, is_text
from schemas.envelope import pack as pack_one

REPLAY = "0193a1b2-c3d4-8e5f-8a9b-0000000b0009"
BATCH = "0193a1b2-c3d4-8e5f-8a9b-0000000b0001"
_lines = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=4)


def part(lines: list[bytes], first: int) -> Part:
    opaque = {first + i: base64.b64encode(line).decode() for i, line in enumerate(lines) if not is_text(line)}
    header = PartHeader(
        batch_id=BATCH, batch_size=99, first_index=first, key_id="k", received_at=7, opaque=opaque,
        ids={first: "own"}, first_processed={first: 8},
    )  # fmt: skip
    return Part(
        header.model_dump_json(exclude_defaults=True).encode(),
        [b"" if first + i in opaque else line for i, line in enumerate(lines)],
    )


@given(st.lists(st.tuples(_lines, st.integers(0, 50)), min_size=1, max_size=4))
def test_parts_arrive_as_they_were_packed(given_parts: list[tuple[list[bytes], int]]) -> None:
    again = Again(REPLAY, 3, patch.read(b'[{"op":"drop","path":"a"}]'))
    body = pack(again, [part(lines, first) for lines, first in given_parts])
    found = deliveries(body)
    assert [one.envelope.events for one in found] == [lines for lines, _ in given_parts]
    for (_, first), one in zip(given_parts, found, strict=True):
        header = one.envelope.header
        assert (header.batch_id, header.first_index, header.received_at) == (BATCH, first, 7)
        assert (one.again, one.envelope.version) == (again, 3)
        assert isinstance(header, PartHeader)
        assert header.first_processed == {first: 8}
    assert all(is_text(line) for line in body.split(b"\n"))


def test_a_first_delivery_is_of_no_replay() -> None:
    header = Header(batch_id=BATCH, batch_size=1, key_id="k", received_at=1)
    [one] = deliveries(pack_one(header, [b"{}"]))
    assert (one.again, one.envelope.events, one.envelope.version) == (None, [b"{}"], 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":3,"batch_id":"b","generation":1,"parts":[2]}\n{}\n{}',
        b'{"v":3,"batch_id":"b","generation":1,"parts":[1]}\n{}\n{}',
        b'{"v":3,"batch_id":"b","generation":0,"parts":[]}\n',
        b'{"v":3,"batch_id":"b","generation":1,"parts":[],"patch":"7"}\n',
        b'{"v":3,"batch_id":"b","parts":"x"}\n',
        b'{"v":3,"parts":[]}',
        b'{"v":3,',
        b"\xff",
        b"",
    ],
)
def test_what_is_no_bundle_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(EnvelopeError):
        deliveries(body)


@given(st.binary(max_size=100))
def test_no_bytes_make_it_raise_anything_else(rest: bytes) -> None:
    for head in (b"", b'{"v":3,"batch_id":"b","generation":1,"parts":[1]}\n'):
        try:
            deliveries(head + rest)
        except (EnvelopeError, NewerEnvelope):
            continue
