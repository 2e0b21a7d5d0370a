"""Which id an event gets when its client gave none, or none that can be used."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from functions.shared.domain import ids
from schemas.event import UUID_PATTERN

_UUID = re.compile(UUID_PATTERN)


class Assigner:
    """Assigns ids: from an idempotency key the same one each time, else a new time-ordered one."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def assign(
        self,
        lines: Sequence[bytes],
        events: Sequence[dict[str, Any] | None],
        now: int,
        key_id: str,
        idempotency_key: str,
    ) -> tuple[list[str], dict[int, str]]:
        """The id of each event in lower case, and those of them that had to be assigned, by index."""
        found: list[str] = []
        assigned: dict[int, str] = {}
        for index, event in enumerate(events):
            own = event.get("event_id") if event is not None else _salvaged(lines[index])
            if not own:
                own = assigned[index] = self._new(lines[index], index, now, key_id, idempotency_key)
            found.append(own.lower())
        return found, assigned

    def _new(self, line: bytes, index: int, now: int, key_id: str, idempotency_key: str) -> str:
        if not idempotency_key:
            return ids.time_ordered(now // 1_000_000, self._random_bytes)
        digest = hashlib.sha256(_canonical(line)).hexdigest()
        return ids.named("event", f"{key_id}:{idempotency_key}:{index}:{digest}")


def _canonical(line: bytes) -> bytes:
    """The event's JSON with sorted keys and no white space; the bytes as they are when they are no JSON."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _salvaged(line: bytes) -> str:
    """The client's own id out of an event that is otherwise bad, so that a good delivery can replace it."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    own = value.get("event_id") if isinstance(value, dict) else None
    return own if isinstance(own, str) and own != ids.NIL and _UUID.fullmatch(own) else ""
