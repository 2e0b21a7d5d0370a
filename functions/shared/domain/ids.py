"""Identifiers: the namespace, name-based ids, and time-ordered ids."""

import uuid
from collections.abc import Callable

NIL = "00000000-0000-0000-0000-000000000000"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "weir.events")


def named(kind: str, name: str) -> str:
    """UUIDv5 in Weir's namespace of ``kind:name`` (RFC 9562, section 5.5), lower case."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


def time_ordered(milliseconds: int, random_bytes: Callable[[int], bytes]) -> str:
    """UUIDv7 (RFC 9562, section 5.7) of a Unix time in milliseconds and ten random bytes."""
    tail = bytearray(random_bytes(10))
    tail[0] = tail[0] & 0x0F | 0x70
    tail[2] = tail[2] & 0x3F | 0x80
    return str(uuid.UUID(bytes=milliseconds.to_bytes(6, "big") + bytes(tail)))
