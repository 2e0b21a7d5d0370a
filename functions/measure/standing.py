"""How the whole of it stands, seen once a run: what no stage can tell of itself."""

from collections.abc import Callable

from functions.measure import runs
from functions.measure.database import Readable, one
from functions.measure.ledger import check
from functions.shared.domain import instants
from functions.shared.errors import Retry
from functions.shared.ports import Depth

# The stored events are counted without being read, but for one byte each that says whether it failed.
_DIFFERENCE = """SELECT toInt64((SELECT count() FROM raw_events))
    - toInt64((SELECT countIf(processing_status = 'failed') FROM raw_events))
    - toInt64((SELECT count() FROM processed_events))"""


def standing(
    database: Readable, depth: Callable[[], Depth], oldest_at: Callable[[], int | None], clock: Callable[[], int]
) -> dict[str, float]:
    """By the names of metrics. What is away now is left out."""
    found: dict[str, float] = {}
    looks: list[Callable[[], dict[str, float]]] = [
        lambda: _batches(database),
        lambda: _ledger(database),
        lambda: {"Unaccounted": float(check.unbalanced(database).events)},
        lambda: _waiting(depth()),
        lambda: _oldest(oldest_at(), clock()),
    ]
    for look in looks:
        try:
            found |= look()
        except Retry:
            continue
    return found


def _batches(database: Readable) -> dict[str, float]:
    behind = runs.behind(database)
    waiting, done = behind["waiting"]["oldest_seconds"], behind["done_seconds_ago"]
    found = {"UnmeasuredSeconds": float(waiting or 0)}
    return found if done is None else {**found, "SinceDoneSeconds": float(done)}


def _ledger(database: Readable) -> dict[str, float]:
    return {"LedgerDifference": float(abs(one(database, _DIFFERENCE)[0]))}


def _waiting(depth: Depth) -> dict[str, float]:
    return {"QueueReady": float(depth.ready), "DeadLetters": float(depth.dead)}


def _oldest(queued_at: int | None, now: int) -> dict[str, float]:
    """Nothing where the broker does not tell: an age of zero would say that all is well."""
    return {} if queued_at is None else {"OldestMessageSeconds": instants.age_seconds(queued_at, now)}
