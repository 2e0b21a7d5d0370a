"""Which event a line of a file is, and the JSON it is sent as."""

from __future__ import annotations

import json
from typing import Any

from functions.shared.domain import ids

# A text as long as an event's string may be, with room for the rest of the event.
RAW_CHARACTERS = 8_000


def line_id(sha256: str, number: int) -> str:
    """Real logs repeat lines, and each counts once: a line is the file's hash and the line's number."""
    return ids.named("line", f"{sha256}:{number}")


def as_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def clipped(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters]
