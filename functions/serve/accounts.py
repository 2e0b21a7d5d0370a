"""``GET /api/v1/ledger``: what became of the events that were received, minute by minute and key by key."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from functions.serve import params
from functions.serve.params import Params, bad
from functions.serve.statement import Row, Statement
from functions.shared.domain import instants, ledger, ledger_sql
from functions.shared.domain.ledger import Account, Line
from functions.shared.domain.ledger_sql import Bucket, Range

KNOWN = ("from", "to", "key_id", "group_by")
BUCKETS: tuple[Bucket, ...] = ("minute", "hour", "key")
MAX_LINES = 10_000
# The ledger keeps no more.
MAX_DAYS = 31
DEFAULT_SECONDS = 3_600
LONGEST_KEY = 200
_DAY = 86_400
_LAST = 2**32 - 1
_MINUTE = 60


class LedgerQuery(NamedTuple):
    """Which minutes of which keys, and how they are summed up."""

    range: Range
    bucket: Bucket


def query(given: Params, environment: str, now: int) -> LedgerQuery:
    """Read the parameters; without a range, the last hour. Raises :class:`BadRequest` that names the one at fault."""
    params.guard(given)
    params.only(given, KNOWN)
    since, until = params.time_range(given)
    # The minute that is under way is the last of a range without end.
    end = _minute(now + _MINUTE * instants.SECOND - 1 if until is None else until + _MINUTE * instants.SECOND - 1)
    begin = max(0, end - DEFAULT_SECONDS) if since is None else _minute(since)
    if begin >= end:
        bad("from", "must be before to: the range is empty.")
    if end - begin > MAX_DAYS * _DAY:
        bad("from", f"the range may span up to {MAX_DAYS} days.")
    key_id = params.one(given, "key_id")
    if len(key_id) > LONGEST_KEY:
        bad("key_id", f"has up to {LONGEST_KEY} characters.")
    chosen = params.choice("group_by", params.one(given, "group_by", "minute"), BUCKETS)
    bucket = next(each for each in BUCKETS if each == chosen)
    return LedgerQuery(Range(begin, end, key_id, environment), bucket)


def lines(asked: LedgerQuery, read: Callable[[Statement], Iterable[Row]]) -> list[Line]:
    """The lines, up to one more than are shown."""
    given = {**asked.range.parameters(), "limit": MAX_LINES + 1}
    return ledger.lines(
        read(Statement(ledger_sql.accounts(asked.bucket), given)),
        read(Statement(ledger_sql.stores(asked.bucket), given)),
    )


def answer(asked: LedgerQuery, found: Sequence[Line]) -> dict[str, Any]:
    """The answer's body."""
    shown = found[:MAX_LINES]
    return {
        "from": _at(asked.range.since),
        "to": _at(asked.range.until),
        "group_by": asked.bucket,
        "total": total(found),
        "lines": [_line(asked, line) for line in shown],
        "complete": len(found) <= MAX_LINES,
    }


def total(found: Iterable[Line]) -> dict[str, Any]:
    """All of it together."""
    account, rows, difference, untallied = Account(), 0, 0, 0
    for line in found:
        account, rows = account.plus(line.account), rows + sum(line.rows)
        difference, untallied = difference + line.difference, untallied + line.untallied
    return _shown(account, rows, difference, untallied)


def _line(asked: LedgerQuery, line: Line) -> dict[str, Any]:
    start = {} if asked.bucket == "key" else {"at": _at(line.bucket)}
    counts = _shown(line.account, sum(line.rows), line.difference, line.untallied)
    return {**start, "key_id": line.key_id or None, **counts}


def _shown(account: Account, rows: int, difference: int, untallied: int) -> dict[str, Any]:
    dropped = {reason: account.dropped[reason] for reason in sorted(account.dropped)}
    balanced = account.in_flight == 0 and difference == 0
    return {**account._asdict(), "dropped": dropped, "rows": rows, "difference": difference,
            "untallied": untallied, "balanced": balanced}  # fmt: skip


def _minute(nanoseconds: int) -> int:
    return min(max(nanoseconds // instants.SECOND // _MINUTE * _MINUTE, 0), _LAST // _MINUTE * _MINUTE)


def _at(seconds: int) -> str:
    return instants.to_text(seconds * instants.SECOND)
