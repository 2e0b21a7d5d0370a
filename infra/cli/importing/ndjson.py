"""Lines of JSON as events: each as it is, with an id of its own when it has none."""

from __future__ import annotations

import json

from infra.cli.importing.identity import line_id


def event(line: bytes, sha256: str, number: int) -> bytes:
    """The line, byte for byte when it has an id or is no object: what is wrong with it is for Weir to judge."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(value, dict) or value.get("event_id"):
        return line
    own = b'"event_id":"' + line_id(sha256, number).encode() + b'"'
    if "event_id" not in value:
        # Put in front of the rest, whose bytes stay: writing the JSON anew could change a number.
        return b"{" + own + (b"," if value else b"") + line.lstrip()[1:]
    value["event_id"] = line_id(sha256, number)
    return json.dumps(value, separators=(",", ":")).encode()
