"""Which events of a request may not be written with its key, by their names."""

import json
from collections.abc import Sequence
from typing import Any

from functions.shared.domain.keys import Key
from schemas.faults import Fault, FaultCode

CODE: FaultCode = "event_name_refused"


def refused(key: Key, lines: Sequence[bytes], events: Sequence[dict[str, Any] | None]) -> dict[int, Fault]:
    """The events that are not taken, by index. One whose name cannot be told is left to validation."""
    if not key.event_names:
        return {}
    # Names are few, and events many: each name is looked at once.
    names = [
        event["event_name"] if event is not None else _salvaged(lines[index]) for index, event in enumerate(events)
    ]
    unwanted = {name for name in set(names) if name is not None and not key.allows_event(name)}
    if not unwanted:
        return {}
    fault = Fault(CODE, ("event_name",), "The key may not write events of this name.")
    return {index: fault for index, name in enumerate(names) if name in unwanted}


def _salvaged(line: bytes) -> str | None:
    """The name of an event that is bad otherwise."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = value.get("event_name") if isinstance(value, dict) else None
    return name if isinstance(name, str) else None
