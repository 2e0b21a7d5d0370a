"""Takes the tallies from the broker to the ledger."""

from collections.abc import Callable, Sequence

from functions.shared.domain import tallies
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import Tallies
from schemas.rows import LedgerRow

AT_ONCE = 5_000


class Keeper:
    """``note`` writes rows into the ledger; twice the same is once."""

    def __init__(self, waiting: Tallies, note: Callable[[Sequence[LedgerRow]], None], clock: Callable[[], int]) -> None:
        """``clock`` is nanoseconds since 1970."""
        self._waiting, self._note, self._clock = waiting, note, clock

    def take(self, more: Callable[[], bool]) -> tuple[int, bool]:
        """How many were taken, and whether none is left of those that were there as it began.

        Raises :class:`~functions.shared.errors.StoreUnavailable`.
        """
        count, began = 0, self._clock()
        try:
            while told := self._waiting.take(AT_ONCE):
                rows = tallies.rows(told)
                if rows:
                    self._note(rows)
                self._waiting.done()
                count += len(rows)
                # They come in the order of the requests. Under a steady load there is always one more.
                if any(row.received_at >= began for row in rows):
                    return count, True
                if not more():
                    return count, False
        except QueueUnavailable:
            # They wait where they are. What cannot be heard is no reason to hold up the rest.
            return count, False
        return count, True
