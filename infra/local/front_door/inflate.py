"""Gzip bodies, as the real API Gateway inflates them: known by their first bytes, with a bound."""

from __future__ import annotations

import zlib

MAGIC = b"\x1f\x8b"
_GZIP_ONLY = 31
# Each costs a copy of all that comes after it: a body of tiny ones would take the time of hundreds.
MOST_MEMBERS = 100


class TooLarge(Exception):
    """The body inflates to more than the limit."""


class Damaged(Exception):
    """The body begins like gzip and is not, or ends too early."""


def inflate(body: bytes, limit: int) -> bytes:
    """The content of a gzip body of one or more members. Never holds more than `limit` bytes and one."""
    parts: list[bytes] = []
    size = 0
    rest = body
    members = 0
    while rest:
        members += 1
        if members > MOST_MEMBERS:
            raise Damaged(f"the gzip body has more than {MOST_MEMBERS} members")
        stream = zlib.decompressobj(_GZIP_ONLY)
        try:
            part = stream.decompress(rest, limit + 1 - size)
        except zlib.error as error:
            raise Damaged(f"the gzip body is damaged: {error}") from None
        size += len(part)
        if size > limit:
            raise TooLarge
        if not stream.eof:
            raise Damaged("the gzip body ends too early")
        parts.append(part)
        # Some writers fill the last block with zeros.
        rest = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)
