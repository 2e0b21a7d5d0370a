"""However attempts interleave, die and come again, one raw row of an event stays: that of its best delivery."""

import itertools
import uuid
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.enrich.recording import Recorder
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreUnavailable
from schemas.rows import Delivery
from tests.support.deliveries import NOW, delivery

_EVENTS = [str(uuid.UUID(int=number)) for number in range(1, 4)]
_one = st.builds(
    lambda event, failed, at, shift, payload: delivery(
        event_id=event, failed=failed, received_at=NOW + at, timestamp=NOW + shift, properties=f'{{"p":{payload}}}'
    ),
    st.sampled_from(_EVENTS),
    st.booleans(),
    st.integers(0, 2),
    st.integers(-(10**15), 0),
    st.integers(0, 2),
)
_block = st.lists(_one, min_size=1, max_size=4)


class Interleaved:
    """The tables, where between any two statements another attempt may run to its end, or this one may die."""

    def __init__(self, tables: MemoryTables, script: list[Any], waiting: list[list[Delivery]]) -> None:
        self._tables = tables
        self._script = script
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            step = self._script.pop() if self._script else None
            if step == "die":
                raise StoreUnavailable("died")
            if step == "other" and self._waiting:
                attempt(self, self._waiting.pop(), self._waiting)
            return getattr(self._tables, name)(*given)

        return call


_numbers = itertools.count(1)


def attempt(tables: Any, block: list[Delivery], waiting: list[list[Delivery]]) -> None:
    try:
        Recorder(tables, lambda: f"{next(_numbers):08d}").record(block)
    except StoreUnavailable:
        waiting.insert(0, block)


@settings(max_examples=1000, deadline=None)
@given(st.lists(_block, min_size=1, max_size=5), st.lists(st.sampled_from([None, None, "other", "die"]), max_size=40))
def test_at_rest_exactly_the_best_delivery_of_each_event_stands(
    blocks: list[list[Delivery]], script: list[Any]
) -> None:
    tables = MemoryTables()
    everything = [one for block in blocks for one in block]
    waiting = list(blocks)
    interleaved = Interleaved(tables, list(script), waiting)
    while waiting:
        attempt(interleaved, waiting.pop(), waiting)
    for event_id in {one.raw.event_id for one in everything}:
        best = min(one.rank for one in everything if one.raw.event_id == event_id)
        assert [row.rank for row in tables.standing_raw([event_id])] == [best]
        assert [row.rank for row in tables.standing_processed([event_id])] == ([] if best[0] else [best])


def test_an_attempt_that_died_before_it_reconciled_is_finished_by_its_retry() -> None:
    tables = MemoryTables()
    worse = delivery(event_id=_EVENTS[0], received_at=NOW + 1)
    better = delivery(event_id=_EVENTS[0], received_at=NOW)
    attempt(tables, [worse], [])
    waiting: list[list[Delivery]] = []
    attempt(Interleaved(tables, ["die", *[None] * 6], []), [better], waiting)
    attempt(tables, waiting.pop(), [])
    assert [row.rank for row in tables.standing_raw([_EVENTS[0]])] == [better.rank]


@given(_block)
def test_one_in_is_exactly_one_of_stored_failed_or_duplicate(block: list[Delivery]) -> None:
    report = Recorder(MemoryTables(), lambda: "a").record(block)
    assert sum(report) == len(block)
