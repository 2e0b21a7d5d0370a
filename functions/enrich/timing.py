"""When an event happened, by a clock that can be trusted: the contract's clock correction."""

from datetime import datetime

from functions.shared.domain import instants

SKEW_TOLERATED = 30 * instants.SECOND
FUTURE_TOLERATED = 60 * instants.SECOND
_BROWSER_LENGTH = 24
_OLDEST = 946_684_800 * instants.SECOND


class Timing:
    """The corrected time of one event, in nanoseconds, and what was done to it.

    ``skew`` is received_at − sent_at, None when the client did not say when it sent.
    """

    __slots__ = ("flags", "original", "skew", "timestamp")

    def __init__(self, timestamp: int, skew: int | None, flags: list[str], original: str) -> None:
        self.timestamp = timestamp
        self.skew = skew
        self.flags = flags
        self.original = original


def correct(sent: str | float | None, sent_at: int | None, received_at: int) -> Timing:
    """Correct an event's timestamp by the measured skew of the client's clock, and bound it by the receipt."""
    skew = None if sent_at is None else received_at - sent_at
    if sent is None:
        return Timing(received_at, skew, [], "")
    timestamp = _moment(sent)
    flags: list[str] = []
    if skew is not None and abs(skew) >= SKEW_TOLERATED:
        if timestamp + skew >= _OLDEST:
            timestamp += skew
            flags.append("clock_corrected")
        else:
            flags.append("clock_skew_absurd")
    if timestamp > received_at + FUTURE_TOLERATED:
        timestamp = received_at
        flags.append("timestamp_in_future")
    return Timing(timestamp, skew, flags, str(sent) if flags else "")


def _moment(value: str | float) -> int:
    """As :func:`instants.from_wire`, short for the form that browsers write: ``2026-11-20T09:15:27.481Z``."""
    if type(value) is not str or len(value) != _BROWSER_LENGTH or value[19] != "." or value[23] != "Z":
        return instants.from_wire(value)
    if value[17:19] == "60":
        return instants.from_wire(value)
    whole = int(datetime.fromisoformat(value[:19] + "+00:00").timestamp())
    return whole * instants.SECOND + int(value[20:23]) * instants.MILLISECOND


def sent_moment(value: str | float | None, beside: int | None) -> int | None:
    """The event's own ``sent_at``, else the batch's; one that is no moment counts as absent."""
    if value is None or value == "":
        return beside
    try:
        return instants.from_wire(value)
    except ValueError:
        return beside
