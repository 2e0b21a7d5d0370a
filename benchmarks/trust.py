"""What trust costs: both handlers with keys, limits, shedding, ledger and word for the batches, and without them.

Both ways are taken by turns in one process, each call of one beside a call of the other, with new events each time.
What is compared is the CPU of the two calls of a pair, of which the machine knows the same moment: the ratio is the
median of the pairs', the times are medians of each way. *Without* is the same handler put together otherwise: nobody
asks for keys, nobody counts or looks at the queue, messages carry no tally, and nothing is told to the ledger or the
batches. The broker and the store are real both times.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.collect import Context, request
from benchmarks.enrich import EVENTS_A_MESSAGE, MESSAGES, invocation
from benchmarks.events import Events
from benchmarks.machine import clickhouse, nats, quiet, with_geo
from benchmarks.results import Values
from functions.shared.domain import key_document
from functions.shared.domain.keys import Digest, Key, hash_of
from infra.local import dev_keys

SIZES = (100, 1)
_WARM_UP = 10
_MANY = 1_000_000
# All that a key can be held to, and of nothing so little that anything is refused.
_HELD = Key(
    key_id="live_held",
    name="held to everything",
    scopes=("write",),
    digests=(Digest(hash_of(dev_keys.WRITE).hex()),),
    event_names=("Product *", "Cart *", "Checkout *", "Order *"),
    events_per_second=_MANY,
    requests_per_second=_MANY,
    daily_events=1_000 * _MANY,
)
_UNBOUND = dict.fromkeys(("WEIR_SHED_BACKLOG_MESSAGES", "WEIR_SHED_BACKLOG_BYTES", "WEIR_SHED_SLOW_BACKLOG_BYTES"), "0")
_FREE = Key(key_id="live_free", scopes=("write",))
_ON = {
    "WEIR_KEYS": "inline",
    "WEIR_KEYS_DOCUMENT": key_document.write([_HELD]),
    "WEIR_LIMITS_ADDRESS_REQUESTS_PER_SECOND": str(_MANY),
}
Event = dict[str, Any]


class Spent(NamedTuple):
    """Seconds of CPU of a call with all and without, and the one in terms of the other."""

    on: float
    off: float
    ratio: float


def measure(*, quick: bool = False) -> Values:
    """Of 600 requests of 100 events and of one each way, and 24 blocks of 5,000 events; or a fifth of them."""
    found: Values = {}
    for size in SIZES:
        with nats(), quiet(), mock.patch.dict("os.environ", _ON):
            found |= _told(f"collect_{size}", _collect(size, 120 if quick else 600), size)
    with_geo()
    with clickhouse(), quiet():
        blocks = _enrich(5 if quick else 24)
    return found | _told("enrich", blocks, MESSAGES * EVENTS_A_MESSAGE)


def _told(name: str, spent: Spent, events: int) -> Values:
    return {
        f"trust_{name}_us": spent.on / events * 1e6,
        f"trust_{name}_without_us": spent.off / events * 1e6,
        f"trust_{name}_ratio": spent.ratio,
    }


def _by_turns(
    make: Callable[[], Event],
    call: Callable[[Event], None],
    without: Callable[[], AbstractContextManager[Any]],
    rounds: int,
    warm_up: int,
) -> Spent:
    """Calls with all and ``without``, in pairs. Who begins changes with each pair."""
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(-warm_up, rounds):
        for off in (False, True) if number % 2 else (True, False):
            event = make()
            with without() if off else nullcontext():
                # What one way leaves behind is not to be cleared away on the other's account.
                gc.collect()
                began = time.process_time()
                call(event)
                took = time.process_time() - began
            if number >= 0:
                spent[off].append(took)
    on, off = spent
    return Spent(median(on), median(off), median(one / other for one, other in zip(on, off, strict=True)))


def _collect(size: int, rounds: int) -> Spent:
    from functions.collect.app import app
    from functions.shared import wiring

    made = (wiring.collect_service, wiring.gate, wiring.throttle)
    _forget(*made)
    events, template, other = Events(invalid=False), request(""), _collect_without()
    template["headers"]["Authorization"] = f"Bearer {dev_keys.WRITE}"

    def call(event: Event) -> None:
        answer = app(event, Context)
        assert answer["statusCode"] == 202, answer

    try:
        return _by_turns(
            lambda: {**template, "body": events.body(size)}, call, lambda: _collecting(other), rounds, _WARM_UP
        )
    finally:
        for each in (wiring.collect_service(), other):
            each._queue.close()
        _forget(*made)


@contextmanager
def _collecting(other: Any) -> Iterator[None]:
    """While inside, the handler finds an open gate and the other service, and messages carry no tally."""
    from functions.collect import service, views

    with (
        mock.patch.object(views, "gate", _always(_Open())),
        mock.patch.object(views, "collect_service", _always(other)),
        mock.patch.object(service.tallying, "beside", lambda _header, _receipt, part: part.message),
    ):
        yield


class _Open:
    """A gate that nobody guards."""

    def admit(self, request: Any) -> Any:
        """Everybody has the same key, which is held to nothing."""
        return replace(request, key=_FREE)


def _collect_without() -> Any:
    """Collect as the wiring makes it where the queue is not looked at."""
    from functions.shared import wiring

    with mock.patch.dict("os.environ", _UNBOUND):
        return wiring.collect_service.__wrapped__()


def _enrich(rounds: int) -> Spent:
    from functions.enrich import records
    from functions.enrich.app import enrich
    from functions.shared import wiring

    _forget(wiring.enrich_service)
    events, other = Events(), _enrich_without()

    def call(event: Event) -> None:
        answer = enrich(event, Context)
        assert answer == {"batchItemFailures": []}, answer

    def without() -> AbstractContextManager[Any]:
        return mock.patch.object(records, "enrich_service", _always(other))

    return _by_turns(lambda: invocation(events), call, without, rounds, 2)


def _enrich_without() -> Any:
    """Enrich as the wiring makes it, over tables that are told nothing but claims and rows, where nobody was erased."""
    from functions.enrich.suppressing import Nobody
    from functions.shared import wiring
    from functions.shared.adapters import clickhouse_suppressions, clickhouse_tables

    class Rows(clickhouse_tables.ClickHouseTables):
        def note(self, attempt_id: str, rows: Sequence[Any]) -> None:
            """Nobody keeps account."""

        def touch(self, attempt_id: str, touch: Any) -> None:
            """Nobody is left word."""

    with (
        mock.patch.object(clickhouse_tables, "ClickHouseTables", Rows),
        mock.patch.object(clickhouse_suppressions, "ClickHouseSuppressions", _always(Nobody())),
    ):
        return wiring.enrich_service.__wrapped__()


def _always(given: Any) -> Callable[..., Any]:
    """A plain function: a mock's call would weigh on one way alone."""

    def give(*_: Any) -> Any:
        return given

    return give


def _forget(*made: Any) -> None:
    for each in made:
        each.cache_clear()
