"""Cursors: the place in the order where a page ended, bound to the query it belongs to."""

import base64
import binascii
import hashlib
import json
from typing import Any, NamedTuple

from functions.serve.params import EventQuery, bad

_VERSION = 1
_CHECK_BYTES = 9
_LONGEST = 400
_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1
_ID_LENGTH = 36


class Position(NamedTuple):
    """The order key of the last event of a page: nanoseconds, and the event's id as lower-case text."""

    at: int
    event_id: str


def scope(query: EventQuery) -> str:
    """What a cursor is bound to: everything but the page size, the fields and the cursor itself."""
    return json.dumps(query._replace(limit=0, fields=(), cursor=""), ensure_ascii=True)


def encode(position: Position, bound_to: str) -> str:
    """An opaque token for the place after ``position``. It holds no secret, and promises none."""
    body = json.dumps([_VERSION, position.at, position.event_id], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body, bound_to) + body).decode().rstrip("=")


def decode(token: str, bound_to: str) -> Position:
    """The place a token stands for. Raises :class:`BadRequest` when it is damaged or of another query."""
    try:
        if len(token) > _LONGEST:
            raise ValueError(token[:_LONGEST])
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        check, body = packed[:_CHECK_BYTES], packed[_CHECK_BYTES:]
        version, at, event_id = json.loads(body)
        _validate(version, at, event_id)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        bad("cursor", "is damaged. Use next_cursor as it was given.", "bad_cursor")
    if check != _check(body, bound_to):
        bad("cursor", "belongs to another query: keep filters, source and order while paging.", "bad_cursor")
    return Position(at, event_id)


def _validate(version: Any, at: Any, event_id: Any) -> None:
    if version != _VERSION or type(at) is not int or type(event_id) is not str:
        raise ValueError(version)
    if not _MIN_NS <= at <= _MAX_NS or len(event_id) != _ID_LENGTH:
        raise ValueError(at)


def _check(body: bytes, bound_to: str) -> bytes:
    return hashlib.sha256(body + b"\n" + bound_to.encode()).digest()[:_CHECK_BYTES]
