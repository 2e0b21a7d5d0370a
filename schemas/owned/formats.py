"""Formats that text can be seen to have. Each pattern takes less than the format does: what it sees is surely one."""

import re

_DATE = r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-2]):[0-5][0-9])"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# At most 63 characters, since a label of a domain may have no more, nor 65 what is before an @ (RFC 5321).
_WORDS = r"[a-z0-9]{1,15}(?:[.-][a-z0-9]{1,15}){0,3}"

PATTERNS = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"),
    "date-time": re.compile(rf"{_DATE}T{_TIME}\Z"),
    "date": re.compile(rf"{_DATE}\Z"),
    "ipv4": re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}\Z"),
    "email": re.compile(rf"{_WORDS}@{_WORDS}\.[a-z]{{2,8}}\Z"),
    "uri": re.compile(rf"https?://{_WORDS}(?:/[A-Za-z0-9._~/-]{{0,500}})?\Z"),
}


def seen(text: str) -> frozenset[str]:
    """The formats that a text has."""
    return frozenset(name for name, pattern in PATTERNS.items() if pattern.match(text))
