"""A group's tags as one text and one number, equal wherever they are computed."""

import hashlib
import json
from collections.abc import Mapping


def canonical(tags: Mapping[str, str]) -> str:
    """The tags as JSON: keys sorted, no spaces, characters as they are. Empty values are left out, as if not given."""
    given = {name: value for name, value in tags.items() if value}
    return json.dumps(given, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(text: str) -> int:
    """63 bits of SHA-256 of the canonical text: never negative, so never the store's null.

    In ClickHouse: ``toInt64(bitAnd(reinterpretAsUInt64(reverse(substring(SHA256(text), 1, 8))), 0x7FFFFFFFFFFFFFFF))``.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & 0x7FFFFFFFFFFFFFFF
