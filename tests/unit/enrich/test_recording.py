"""However attempts interleave, die and come again, one raw row of an event stays: that of its best delivery."""

import itertools
import random
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.enrich.recording import Recorder
from functions.enrich.tables import Claim
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreUnavailable
from schemas.rows import Delivery, ProcessedRow, RawRow
from tests.support.deliveries import NOW, delivery
from tests.support.writers import FATES, Fate, World

_EVENTS = [str(uuid.UUID(int=number)) for number in range(1, 4)]
_one = st.builds(
    lambda event, failed, at, shift, payload, generation, key: delivery(
        event_id=event,
        failed=failed,
        received_at=NOW + at,
        timestamp=NOW + shift,
        properties=f'{{"p":{payload}}}',
        batch_id=_EVENTS[0],
        digest=str(payload),
        generation=generation,
        key_id=key,
    ),
    st.sampled_from(_EVENTS),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([0, 1, -(10**15)]),
    st.integers(0, 1),
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from(["live_shop", "test_shop"]),
)
_block = st.lists(_one, min_size=1, max_size=4)


def attempts(seed: int = 0) -> Callable[[], str]:
    """New attempt ids, in no order."""
    chance = random.Random(seed)
    return lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _fate(chance: random.Random, accidents: float) -> Fate:
    return chance.choice(FATES) if chance.random() < accidents else "runs"


def check(tables: MemoryTables, deliveries: list[Delivery]) -> None:
    """One raw row an event, that of its best delivery; its processed row when that is valid."""
    for event_id in {one.raw.event_id for one in deliveries}:
        best = min(one.order for one in deliveries if one.raw.event_id == event_id)
        raw = [row for _, row in tables.raw if row.event_id == event_id]
        processed = [row for _, row in tables.processed if row.event_id == event_id]
        assert [order(row, row.processing_status == "failed") for row in raw] == [best]
        assert [order(row, False) for row in processed] == ([] if best[0][0] else [best])


def order(row: RawRow | ProcessedRow, failed: bool) -> tuple[tuple[bool, bool, int, str], str, int, int]:
    return (
        (failed, row.key_id == "test_shop", row.received_at, row.digest),
        row.batch_id,
        row.batch_index,
        -row.generation,
    )


def check_touches(tables: MemoryTables, blocks: list[list[Delivery]]) -> None:
    """Word was left of each event that stands, of each minute a row is in, and of all that was contested."""
    touches = [touch for _, touch in tables.touched]
    told = {attempt for attempt, _ in tables.touched}
    named = {event_id for touch in touches for event_id in touch.event_ids}
    assert {row.event_id for by, row in tables.processed if by not in told} <= named
    minutes = {minute for touch in touches for minute in touch.minutes}
    assert {row.timestamp // (60 * 10**9) * 60 for _, row in tables.raw} <= minutes
    events = [{one.raw.event_id for one in block} for block in blocks]
    contested = {event for a, b in itertools.combinations(events, 2) for event in a & b}
    assert contested <= named


@settings(max_examples=800, deadline=None)
@given(st.lists(_block, min_size=1, max_size=4), st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3]))
def test_at_rest_exactly_the_best_delivery_of_each_event_stands(
    blocks: list[list[Delivery]], seed: int, accidents: float
) -> None:
    chance = random.Random(seed)
    choices = iter(lambda: chance.randrange(12), None)
    fates = itertools.islice(iter(lambda: _fate(chance, accidents), None), 200)
    world = World(blocks, attempts(seed))
    reports = world.run(choices, fates)
    assert [sum(report) for report in reports] == [len(block) for block in blocks]
    assert world.rows_at_work() == [], "a statement could still add a row, and nobody is left to look"
    world.finish({attempt for attempt, _, _ in world.at_work})
    check(world.tables, [one for block in blocks for one in block])
    check_touches(world.tables, blocks)


@settings(max_examples=300, deadline=None)
@given(st.lists(_block, min_size=1, max_size=4))
def test_one_after_the_other_counts_are_those_of_the_rows(blocks: list[list[Delivery]]) -> None:
    tables = MemoryTables()
    for number, block in enumerate(blocks):
        attempt = str(uuid.UUID(int=number))
        report = Recorder(tables, lambda attempt=attempt: attempt).record(block)
        own = [row.processing_status for by, row in tables.raw if by == attempt]
        assert report == (own.count("processed"), own.count("failed"), len(block) - len(own))
        check(tables, [one for each in blocks[: number + 1] for one in each])


@pytest.mark.parametrize("live_first", [True, False])
def test_what_a_test_key_sent_never_stands_for_what_a_live_one_did(live_first: bool) -> None:
    live = delivery(event_id=_EVENTS[0], key_id="live_shop", received_at=NOW + 9)
    test = delivery(event_id=_EVENTS[0], key_id="test_shop", received_at=NOW)
    tables = MemoryTables()
    for seed, one in enumerate([live, test] if live_first else [test, live]):
        Recorder(tables, attempts(seed)).record([one])
    assert [row.key_id for _, row in tables.raw] == [row.key_id for _, row in tables.processed] == ["live_shop"]


def test_nor_does_it_within_one_block() -> None:
    tables = MemoryTables()
    test = delivery(event_id=_EVENTS[0], key_id="test_shop", received_at=NOW)
    live = delivery(event_id=_EVENTS[0], key_id="live_shop", received_at=NOW + 1)
    assert Recorder(tables, attempts()).record([test, live]) == (1, 0, 1)
    assert [row.key_id for _, row in tables.raw] == ["live_shop"]


def test_a_live_event_that_failed_gives_way_to_a_valid_one_as_ever() -> None:
    tables = MemoryTables()
    for seed, (key, failed) in enumerate((("live_shop", True), ("test_shop", False))):
        Recorder(tables, attempts(seed)).record([delivery(event_id=_EVENTS[0], key_id=key, failed=failed)])
    assert [row.key_id for _, row in tables.raw] == ["test_shop"]


def test_nothing_in_is_nothing_done() -> None:
    tables = MemoryTables()
    assert Recorder(tables, attempts()).record([]) == (0, 0, 0)
    assert tables.claims == []


def test_every_delivery_is_in_the_ledger_also_one_that_its_own_block_outranks() -> None:
    tables = MemoryTables()
    block = [delivery(event_id=_EVENTS[0], batch_index=index) for index in range(3)]
    assert Recorder(tables, attempts()).record(block) == (1, 0, 2)
    assert sorted(claim.batch_index for _, claim in tables.claims) == [0, 1, 2]


def test_word_is_left_of_an_attempt_and_its_minutes() -> None:
    tables = MemoryTables()
    Recorder(tables, attempts()).record([delivery(), delivery(failed=True)])
    [(by, touch)] = tables.touched
    assert {attempt for attempt, _ in tables.processed} == {by}
    assert touch == ([NOW // 60_000_000_000 * 60], [], 2)


def test_word_is_left_again_when_everything_was_there() -> None:
    tables = MemoryTables()
    one = delivery()
    for seed in range(2):
        Recorder(tables, attempts(seed)).record([one])
    assert [touch.event_ids for _, touch in tables.touched] == [[], [one.raw.event_id]]


def test_of_what_is_forgotten_word_is_left_also_by_who_finds_it_removed() -> None:
    tables, one = MemoryTables(), delivery()
    Recorder(tables, attempts()).record([one])
    for seed in (1, 2):
        # The second as if the first had died behind the removal.
        tables.touched.clear()
        Recorder(tables, attempts(seed)).forget([one])
        assert (tables.raw, tables.processed) == ([], [])
        assert [touch.event_ids for _, touch in tables.touched] == [[one.raw.event_id]]


def test_a_replayed_event_in_hand_gives_way_to_its_valid_delivery() -> None:
    tables = MemoryTables()
    one = delivery(event_id=_EVENTS[0])
    Recorder(tables, attempts()).record([one._replace(processed=None)])
    [(by, row)] = tables.raw
    tables.raw = [(by, row._replace(processing_status="pending"))]  # type: ignore[arg-type]
    assert Recorder(tables, attempts(1)).record([one]) == (1, 0, 0)
    check(tables, [one])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_of_one_delivery_what_a_replay_brought_last_stands_but_no_failure_in_place_of_what_is_good(
    order: tuple[int, ...],
) -> None:
    tables = MemoryTables()
    ways = [
        delivery(event_id=_EVENTS[0], digest="d", batch_id=_EVENTS[0], generation=generation, failed=failed)
        for generation, failed in enumerate((True, False, False, True))
    ]
    for seed, way in enumerate(order):
        Recorder(tables, attempts(seed)).record([ways[way]])
    check(tables, ways)
    assert [row.generation for _, row in tables.raw] == [2]


def test_an_earlier_delivery_counts_however_often_a_later_one_was_replayed() -> None:
    tables = MemoryTables()
    early, late = (delivery(event_id=_EVENTS[0], received_at=NOW + at) for at in (0, 1))
    again = late._replace(raw=late.raw._replace(generation=9))
    for seed, one in enumerate((early, late, again)):
        Recorder(tables, attempts(seed)).record([one])
    check(tables, [early, late, again])


def poisoned(row: RawRow | ProcessedRow | Claim) -> bool:
    return "poison" in getattr(row, "properties_text", "")


@pytest.mark.parametrize("size", [1, 2, 9, 64])
@pytest.mark.parametrize("culprits", [{0}, {0, 1}, {8, 3}, set(range(64))], ids=str)
def test_what_the_store_refuses_is_stored_as_failed_and_its_neighbours_as_they_are(
    size: int, culprits: set[int]
) -> None:
    tables = MemoryTables(poisoned)
    block = [delivery(properties='{"poison":1}' if index in culprits else "{}") for index in range(size)]
    bad = [block[index].raw for index in sorted(culprits) if index < size]
    assert Recorder(tables, attempts()).record(block) == (size - len(bad), len(bad), 0)
    rows = {row.event_id: row for _, row in tables.raw}
    assert len(tables.raw) == size
    assert len(tables.processed) == size - len(bad)
    for row in bad:
        stored = rows[row.event_id]
        assert (stored.processing_status, stored.error_codes) == ("failed", ["store_refused"])
        assert (stored.raw_data, stored.properties_text, stored.context_text) == (row.raw_data, "{}", "{}")
        assert [claim.failed for _, claim in tables.claims if claim.event_id == row.event_id] == [False, True]


def test_a_refused_event_that_comes_again_is_still_one_failed_row() -> None:
    tables = MemoryTables(poisoned)
    block = [delivery(properties='{"poison":1}'), delivery()]
    for seed in range(3):
        Recorder(tables, attempts(seed)).record(block)
    assert sorted(row.processing_status for _, row in tables.raw) == ["failed", "processed"]
    assert len(tables.processed) == 1


def test_a_row_refused_only_as_a_raw_one_is_stored_bare_and_has_no_processed_row() -> None:
    tables = MemoryTables(lambda row: isinstance(row, RawRow) and row.raw_encoding == "" and "x" in row.event_name)
    block = [delivery(event_name="x", raw_data="\ud800"), delivery()]
    assert Recorder(tables, attempts()).record(block) == (1, 1, 0)
    row = next(row for _, row in tables.raw if row.processing_status == "failed")
    assert (row.raw_encoding, row.raw_data, row.event_name) == ("base64", "7aCA", "")
    assert [row.event_id for _, row in tables.processed] == [block[1].raw.event_id]


def test_a_claim_that_is_refused_is_made_bare() -> None:
    tables = MemoryTables(lambda row: isinstance(row, Claim) and row.key_id == "odd")
    assert Recorder(tables, attempts()).record([delivery(key_id="odd"), delivery()]) == (2, 0, 0)
    assert sorted(claim.key_id for _, claim in tables.claims) == ["", ""]


def test_what_the_store_takes_in_no_form_is_not_acknowledged() -> None:
    tables = MemoryTables(lambda row: not isinstance(row, Claim))
    with pytest.raises(StoreUnavailable):
        Recorder(tables, attempts()).record([delivery()])
