"""Identifiers: the namespace, name-based ids, and time-ordered ids."""

import re
import uuid
from collections.abc import Callable

NIL = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "weir.events")


def named(kind: str, name: str) -> str:
    """UUIDv5 in Weir's namespace of ``kind:name`` (RFC 9562, section 5.5), lower case."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form."""
    return _UUID.match(text) is not None


def user(reference: str) -> str:
    """A user's id as a UUID: itself, or the name of any other text."""
    return reference.lower() if is_uuid(reference) else named("user", reference)


def time_ordered(milliseconds: int, random_bytes: Callable[[int], bytes]) -> str:
    """UUIDv7 (RFC 9562, section 5.7) of a Unix time in milliseconds and ten random bytes."""
    tail = bytearray(random_bytes(10))
    tail[0] = tail[0] & 0x0F | 0x70
    tail[2] = tail[2] & 0x3F | 0x80
    return str(uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + bytes(tail)))
