"""Instants as integers: nanoseconds since the epoch, UTC. Reading them from the wire and writing RFC 3339."""

from datetime import UTC, datetime

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_MILLISECONDS_FROM = 1e11
_FIRST = -2_208_988_800 * SECOND  # 1900-01-01: an earlier ``sent_at`` is clamped, it is absurd anyway
_LAST = 4_102_444_800 * SECOND  # 2100-01-01: a number later than this is clamped, it is in the future anyway


def from_wire(value: str | float) -> int:
    """An event's ``timestamp`` or ``sent_at`` that validation let through, in nanoseconds."""
    if isinstance(value, str):
        return max(_FIRST, from_text(value))
    scale = MILLISECOND if value >= _MILLISECONDS_FROM else SECOND
    if value * scale > _LAST:
        return _LAST
    if value * scale < _FIRST:
        return _FIRST
    whole = int(value)
    return whole * scale + round((value - whole) * scale)


def from_text(text: str) -> int:
    """RFC 3339 to nanoseconds; no offset is UTC; digits past the ninth are dropped; second 60 is the next minute.

    Raises :class:`ValueError` for a text that is no time.
    """
    base, rest = text[:19].upper(), text[19:]
    leap = base[17:19] == "60"
    if leap:
        base = base[:17] + "59"
    fraction = ""
    if rest[:1] == ".":
        end = 1
        while end < len(rest) and rest[end].isdigit():
            end += 1
        fraction, rest = rest[1:end], rest[end:]
    moment = datetime.fromisoformat(base + (rest.upper() or "+00:00"))
    whole = int(moment.timestamp()) + leap
    return whole * SECOND + int(fraction[:9].ljust(9, "0") or 0)


def age_seconds(at: int, now: int) -> float:
    """How long ago that was; 0 for 0, which is no instant, and for what another clock puts ahead of this one."""
    return max(0.0, (now - at) / SECOND) if at else 0.0


def to_text(nanoseconds: int) -> str:
    """RFC 3339 in UTC with as many digits of a second as it takes (none, 3, 6 or 9)."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not fraction:
        return base + "Z"
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{base}.{digits}Z"
