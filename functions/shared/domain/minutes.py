"""The minute of an instant, as the ledger has it: whole seconds since 1970, within what a DateTime holds."""

MINUTE_SECONDS = 60
_MINUTE_NS = 60_000_000_000
_LAST = 2**32 // 60 - 1


def of(nanoseconds: int) -> int:
    """The start of the minute, in seconds."""
    return min(max(nanoseconds // _MINUTE_NS, 0), _LAST) * MINUTE_SECONDS
