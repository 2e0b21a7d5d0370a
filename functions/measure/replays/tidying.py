"""Dead letters that are settled go after a while; what is not resolved stays, however old it is.

By a statement and not by a TTL: that would take the row which says `resolved` from above an older one that says `dead`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from functions.measure.database import Database, one

_DAY = 86_400_000_000_000
# A statement may have 256 KiB, and is kept until all replicas of a cluster have run it.
_AT_A_TIME = 1_000
_ROUNDS = 50


def tidy(database: Database, days: int, now: int) -> int:
    """Remove letters that were resolved so many days before ``now`` (nanoseconds), 0 is never; how many there were.

    Letters go before their states, and of these the last one last: whoever dies between leaves what the next run finds,
    and never a letter that seems to be dead again. What is too much for one run is left to it too. Safe to run twice.
    Raises :class:`~functions.shared.errors.StoreUnavailable`.
    """
    given = {"until": now - days * _DAY}
    # Narrow columns, and no versions compared: as a rule there is nothing.
    if not days or not one(database, _MAYBE, given)[0]:
        return 0
    found = 0
    for _ in range(_ROUNDS):
        keys = list(database.rows(_RESOLVED, given))
        for statement in (_LETTERS, _FORMER_STATES, _STATES) if keys else ():
            database.run(f"{statement} AND ({_KEY}) IN ({_listed(keys)}) SETTINGS mutations_sync = 2", given)
        found += len(keys)
        if len(keys) < _AT_A_TIME:
            break
    return found


def _listed(keys: Iterable[Sequence[Any]]) -> str:
    """Keys as they are written in SQL. Each replica of a cluster would ask a query in a condition at its own time."""
    return ", ".join(f"('{at}', '{batch_id}', {int(index)})" for at, batch_id, index in keys)


_OLD = "state = 'resolved' AND at < fromUnixTimestamp64Nano({until:Int64}, 'UTC')"
_KEY = "received_at, batch_id, batch_index"
_MAYBE = f"SELECT count() FROM dead_letter_states WHERE {_OLD}"  # noqa: S608  names of our own
_RESOLVED = (
    "SELECT toString(received_at), toString(batch_id), batch_index FROM dead_letter_states FINAL"  # noqa: S608
    f" WHERE {_OLD} ORDER BY {_KEY} LIMIT {_AT_A_TIME}"
)
_LETTERS = "ALTER TABLE dead_letters DELETE WHERE true"
_FORMER_STATES = "ALTER TABLE dead_letter_states DELETE WHERE state != 'resolved'"
_STATES = f"ALTER TABLE dead_letter_states DELETE WHERE {_OLD}"
