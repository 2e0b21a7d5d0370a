"""What can be shown of an event that may be no event: for rows of what failed, and of what was given up. Pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any


def members(line: bytes) -> dict[str, Any]:
    """The fields of an event's JSON; none where it is no object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def short(event: Mapping[str, Any], name: str, limit: int) -> str:
    """A field's text, cut to so many characters; the empty text where it is none."""
    value = event.get(name)
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-8", "replace").decode()


def storable(line: bytes) -> tuple[str, str]:
    """Bytes as a text, and its encoding: none, or base64 where they are not UTF-8."""
    try:
        return line.decode("utf-8"), ""
    except UnicodeDecodeError:
        return base64.b64encode(line).decode(), "base64"


def restored(text: str, encoding: str) -> bytes:
    """The bytes that :func:`storable` made a text of."""
    return base64.b64decode(text) if encoding == "base64" else text.encode("utf-8", "surrogatepass")
