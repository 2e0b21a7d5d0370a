"""When an event happened, by a clock that can be trusted: the contract's clock correction."""

from functions.shared.domain import instants

SKEW_TOLERATED = 30 * instants.SECOND
FUTURE_TOLERATED = 60 * instants.SECOND
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
    timestamp = instants.from_wire(sent)
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


def sent_moment(value: str | float | None, beside: int | None) -> int | None:
    """The event's own ``sent_at``, else the batch's; one that is no moment counts as absent."""
    if value is None or value == "":
        return beside
    try:
        return instants.from_wire(value)
    except ValueError:
        return beside
