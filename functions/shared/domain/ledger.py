"""How the rows of the ledger are read: what became of the events of each request. Pure.

received = stored + failed + duplicate + erased + dropped + dead + in flight: of each request, and so of any sum.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

# Collect needs a word of this module, and no rows.
if TYPE_CHECKING:
    from schemas.rows import LedgerRow

# A reason of ``dropped`` that is none: the broker held the same message already.
RESENT = "duplicate"


class Account(NamedTuple):
    """What became of events. ``dropped`` is by reason; ``in_flight`` are neither recorded nor given up yet."""

    received: int = 0
    stored: int = 0
    failed: int = 0
    duplicate: int = 0
    erased: int = 0
    dead: int = 0
    in_flight: int = 0
    dropped: Mapping[str, int] = {}

    def plus(self, other: "Account") -> "Account":
        """Both together."""
        added = [one + two for one, two in zip(self[:7], other[:7], strict=True)]
        return Account._make([*added, dict(Counter(self.dropped) + Counter(other.dropped))])


def account(rows: "Iterable[LedgerRow]", erased: Iterable[int] = (), dead: Iterable[int] = ()) -> Account:
    """Of one request, from all its rows in any order, each as often as it likes. ``dead``: the places given up."""
    told = list(rows)
    known = _places(row for row in told if row.kind in ("tally", "outcome"))
    recorded = _places(row for row in told if row.kind == "outcome")
    superseded = {place for row in told for place in row.superseded} & recorded
    gone = (set(erased) & recorded) - superseded
    mended = {place for row in told for place in row.mended}
    failed = ({place for row in told for place in row.failed} & recorded) - mended - superseded - gone
    given_up = set(dead) - recorded
    dropped: dict[str, int] = {}
    for row in told:
        dropped |= {reason: max(count, dropped.get(reason, 0)) for reason, count in row.dropped.items()}
    resent = dropped.pop(RESENT, 0)
    return Account(
        received=len(known | given_up) + resent + sum(dropped.values()),
        stored=len(recorded) - len(superseded) - len(gone) - len(failed),
        failed=len(failed),
        duplicate=len(superseded) + resent,
        erased=len(gone),
        dead=len(given_up),
        in_flight=len(known - recorded - given_up),
        dropped=dropped,
    )


def _places(rows: "Iterable[LedgerRow]") -> set[int]:
    """A replay may bring a part of what was one message."""
    return {place for row in rows for place in range(row.first_index, row.first_index + row.events)}


class Rows(NamedTuple):
    """What the store itself holds: raw rows by status. ``pending`` are in a replay's hand."""

    processed: int = 0
    failed: int = 0
    pending: int = 0


class Line(NamedTuple):
    """The events of a key that were received in a bucket of time (its start, seconds since 1970)."""

    bucket: int
    key_id: str
    account: Account = Account()
    rows: Rows = Rows()
    untallied: int = 0

    @property
    def difference(self) -> int:
        """How many rows are too many or too few in the store; which of them failed is not asked during a replay."""
        account, rows = self.account, self.rows
        found = [sum(rows) - account.stored - account.failed]
        if not rows.pending:
            found += [rows.processed - account.stored, rows.failed - account.failed]
        return max(map(abs, found))

    @property
    def unaccounted(self) -> int:
        """What must be 0 once everything had its time."""
        return self.account.in_flight + self.difference


def lines(accounts: Iterable[Sequence[Any]], stores: Iterable[Sequence[Any]]) -> list[Line]:
    """The answers of the two questions (``ledger_sql``) put together, in order."""
    found: dict[tuple[int, str], Line] = {}
    for bucket, key_id, *account, untallied in accounts:
        found[bucket, key_id] = Line(bucket, key_id, Account(*account), untallied=untallied)
    for bucket, key_id, *rows in stores:
        line = found.get((bucket, key_id), Line(bucket, key_id))
        found[bucket, key_id] = line._replace(rows=Rows(*rows))
    return [found[place] for place in sorted(found)]
