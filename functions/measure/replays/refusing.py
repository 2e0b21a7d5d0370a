"""Dead letters of people who were erased: refused as they are collected, and removed where they slipped through."""

from collections.abc import Callable, Sequence

from functions.measure.database import Database, one, some
from functions.measure.replays.letters import Death, Letter
from functions.shared.domain import environments, identity, minutes
from functions.shared.domain.suppression import Position, Suppression
from schemas.rows import LedgerRow

# Who is refused now: whoever was refused before the call is in it.
Current = Callable[[], Suppression]


class Refusals:
    """Holds letters against refusals. ``note`` writes into the ledger; what is written twice counts once."""

    def __init__(self, current: Current, database: Database, note: Callable[[Sequence[LedgerRow]], None]) -> None:
        self._current, self._database, self._note = current, database, note

    def of(self, deaths: Sequence[Death]) -> list[Death]:
        """Those of them that are of somebody who is refused. Raises :class:`StoreUnavailable`."""
        suppression = self._current()
        return [one for one in deaths if _refused(suppression, one.letter)] if suppression else []

    def forget(self, deaths: Sequence[Death]) -> None:
        """Remove these letters, should anyone have come so far as to write them, and account for them.

        Safe to repeat after any failure. Raises :class:`StoreUnavailable`.
        """
        if not deaths:
            return
        self._note([_erased(death.letter) for death in deaths])
        for ids in some([death.letter.dead_id for death in deaths]):
            if one(self._database, _THERE, {"ids": ids})[0]:
                self._database.run(_REMOVE, {"ids": ids})


def _refused(suppression: Suppression, letter: Letter) -> bool:
    # A letter is where a failed event would be: nobody has read when it happened.
    position = Position(letter.received_at, letter.event_id)
    environment = environments.of(letter.key_id)
    device = letter.anonymous_id
    return suppression.refuses(letter.user_id, device, identity.of_device(device), position, environment)


def _erased(letter: Letter) -> LedgerRow:
    """Of a dead letter the ledger knows no outcome: that it is erased is one."""
    where = (minutes.of(letter.received_at), letter.key_id, letter.batch_id, letter.received_at, letter.batch_index)
    return LedgerRow(*where, "outcome", events=1, erased=[letter.batch_index])


_THERE = "SELECT count() FROM dead_letters WHERE dead_id IN {ids:Array(UUID)}"
_REMOVE = "ALTER TABLE dead_letters DELETE WHERE dead_id IN {ids:Array(UUID)} SETTINGS mutations_sync = 2"
