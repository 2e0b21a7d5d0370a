"""From checked events to queue messages: one a batch, more only where the broker's limit asks for it."""

import base64
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from functions.shared.ports import Message
from schemas.envelope import Header, content_id, is_text, pack

_HEADER_ROOM = 600


class Part(NamedTuple):
    """The events of a batch from ``first`` up to, not including, ``last``, and the message that carries them."""

    first: int
    last: int
    message: Message


def batch_id(key_id: str, assigned: dict[int, str], lines: Sequence[bytes]) -> str:
    """The batch's id, from its content: a resend of the same events is the same batch."""
    return str(content_id(key_id, assigned, lines))


def cut(header: Header, lines: Sequence[bytes], max_bytes: int) -> list[Part]:
    """The batch in messages of at most ``max_bytes``; ``header.ids`` is cut to each message's events.

    A message's id names its range: the same batch may be cut elsewhere when it comes again (the broker's limit is
    learnt, and the room depends on the request), and the broker must not take a longer message for a shorter one.
    """
    # All at once first: as a rule all are text. The space keeps the halves of a character apart.
    opaque = set() if is_text(b" ".join(lines)) else {index for index, line in enumerate(lines) if not is_text(line)}
    return [
        Part(
            first,
            last,
            Message(f"{header.batch_id}:{first}-{last}", _message(header, lines, first, last, opaque)),
        )
        for first, last in _ranges(header, lines, max_bytes, opaque)
    ]


def _ranges(header: Header, lines: Sequence[bytes], max_bytes: int, opaque: set[int]) -> Iterator[tuple[int, int]]:
    request_room = len(header.request.user_agent.encode()) * 2 + len(header.request.ip)
    room = max_bytes - _HEADER_ROOM - request_room
    if not opaque and sum(map(len, lines)) + len(lines) + 64 * len(header.ids) <= room:
        yield 0, len(lines)
        return
    first, used = 0, 0
    for index, line in enumerate(lines):
        size = 1 + (len(line) * 4 // 3 + 16 if index in opaque else len(line)) + (64 if index in header.ids else 0)
        if used + size > room and index > first:
            yield first, index
            first, used = index, 0
        used += size
    yield first, len(lines)


def _message(header: Header, lines: Sequence[bytes], first: int, last: int, opaque: set[int]) -> bytes:
    part = header.model_copy(
        update={
            "first_index": first,
            "ids": {index: own for index, own in header.ids.items() if first <= index < last},
            "opaque": {
                index: base64.b64encode(lines[index]).decode() for index in sorted(opaque) if first <= index < last
            },
        }
    )
    return pack(part, [b"" if index in opaque else lines[index] for index in range(first, last)])
