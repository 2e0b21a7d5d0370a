"""From events to queue messages: as many in one as may be, each part under the header it first came in. Pure."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from functions.shared.ports import Message
from schemas import patch
from schemas.bundle import Again, Part, pack
from schemas.envelope import is_text

# Enough for a block that is worth an insert. What died before is packed with fewer others each time, so that in the end
# what is poison stands alone.
EVENTS_A_MESSAGE = 1_000
_EVENTS_A_PART = 500
_FEWER = 10
# The first line, and of each part and event what is around the bytes.
_HEADER_ROOM, _PART_ROOM, _EVENT_ROOM = 16 * 1024, 200, 230
_READ = msgspec.json.Decoder(dict[str, Any])


class Item(NamedTuple):
    """An event to bring again. ``header``: that of its envelope as JSON, without what is of single events.

    ``before`` is the patch by which it was stored, ``first_processed`` when that was (0: it is not stored), ``deaths``
    how often it was given up. ``given`` is the visitor's id of that day, where it sent none.
    """

    header: str
    place: int
    event_id: str
    line: bytes
    digest: str
    before: str = ""
    first_processed: int = 0
    deaths: int = 0
    given: str = ""


def messages(again: Again, items: Sequence[Item], max_bytes: int) -> Iterator[Message]:
    """The messages that bring all of them, each named by its content."""
    ordered = sorted(items, key=lambda item: (item.before, item.deaths, item.header, item.place))
    for (before, deaths), group in groupby(ordered, key=lambda item: (item.before, item.deaths)):
        operations = [*(patch.read(before) if before else ()), *again.operations]
        bringing = again._replace(operations=operations)
        for parts in _cut(group, max_bytes - _HEADER_ROOM, together(deaths)):
            body = pack(bringing, parts)
            yield Message(f"replay:{hashlib.sha256(body).hexdigest()}", body)


def together(deaths: int) -> int:
    """How many events may be in a message with one that was given up so often."""
    return max(1, EVENTS_A_MESSAGE // int(_FEWER ** max(0, deaths - 1)))


def _cut(items: Iterator[Item], max_bytes: int, max_events: int) -> Iterator[list[Part]]:
    parts: list[Part] = []
    used = events = 0
    for run in _runs(items, min(max_events, _EVENTS_A_PART), max_bytes):
        size = len(run[0].header) + _PART_ROOM + sum(map(_size, run))
        if parts and (used + size > max_bytes or events + len(run) > max_events):
            yield parts
            parts, used, events = [], 0, 0
        parts.append(_part(run))
        used, events = used + size, events + len(run)
    if parts:
        yield parts


def _runs(items: Iterator[Item], max_events: int, max_bytes: int) -> Iterator[list[Item]]:
    """Events that follow each other under one header."""
    run: list[Item] = []
    used = 0
    for item in items:
        follows = run and item.header == run[0].header and item.place == run[-1].place + 1
        if run and (not follows or len(run) == max_events or used + _size(item) > max_bytes // 2):
            yield run
            run, used = [], 0
        run.append(item)
        used += _size(item)
    if run:
        yield run


def _part(run: Sequence[Item]) -> Part:
    opaque = {item.place: base64.b64encode(item.line).decode() for item in run if not is_text(item.line)}
    digests = {item.place: item.digest for item in run if item.digest != hashlib.sha256(item.line).hexdigest()}
    processed = {item.place: item.first_processed for item in run if item.first_processed}
    given = {item.place: item.given for item in run if item.given}
    header = {
        **_READ.decode(run[0].header),
        "first_index": run[0].place,
        "ids": {item.place: item.event_id for item in run},
        **({"opaque": opaque} if opaque else {}),
        **({"digests": digests} if digests else {}),
        **({"first_processed": processed} if processed else {}),
        **({"given": given} if given else {}),
    }
    return Part(msgspec.json.encode(header), [b"" if item.place in opaque else item.line for item in run])


def _size(item: Item) -> int:
    return len(item.line) * 4 // 3 + _EVENT_ROOM if not item.line.isascii() else len(item.line) + _EVENT_ROOM
