"""The ledger's account of each request is what stands in the tables, however the messages came and whoever died."""

import random
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.enrich.recording import Recorder
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain import minutes
from functions.shared.domain.ledger import RESENT, Account, account
from schemas.rows import Delivery, LedgerRow
from tests.support.deliveries import NOW, delivery
from tests.support.writers import FATES, World

SECOND = 1_000_000_000
EVENTS = [str(uuid.UUID(int=number)) for number in range(1, 5)]
BATCHES = [str(uuid.UUID(int=number)) for number in range(101, 104)]


class Event(NamedTuple):
    """An event of a batch: which, whether it is valid, and what it says."""

    event_id: str
    failed: bool
    payload: int


class Message(NamedTuple):
    """A part of a batch that was received once: the whole, or one of two halves where ``at`` is odd."""

    batch: int
    at: int
    half: int


_event = st.builds(Event, st.sampled_from(EVENTS), st.booleans(), st.integers(0, 1))
_batches = st.lists(st.lists(_event, min_size=1, max_size=4), min_size=3, max_size=3)
_message = st.builds(Message, st.integers(0, 2), st.integers(0, 3), st.integers(0, 1))
_blocks = st.lists(st.lists(_message, min_size=1, max_size=3), min_size=1, max_size=4)


def places(message: Message, size: int) -> range:
    middle = size if message.at % 2 == 0 else (size + 1) // 2
    return range(middle) if message.half == 0 or middle == size else range(middle, size)


def opened(batches: Sequence[Sequence[Event]], message: Message) -> tuple[list[Delivery], LedgerRow]:
    events = batches[message.batch]
    there = places(message, len(events))
    received_at = NOW + message.at
    found = [
        delivery(
            event_id=events[place].event_id,
            failed=events[place].failed,
            properties=f'{{"p":{events[place].payload}}}',
            received_at=received_at,
            batch_id=BATCHES[message.batch],
            batch_index=place,
        )
        for place in there
    ]
    # The digest is of the bytes alone: the same event twice in a batch has it twice.
    found = [_digested(one, events[place]) for one, place in zip(found, there, strict=True)]
    return found, outcome(message.batch, received_at, there)


def _digested(one: Delivery, event: Event) -> Delivery:
    digest = f"{event.event_id}{event.payload}"
    return Delivery(one.raw._replace(digest=digest), one.processed and one.processed._replace(digest=digest))


def outcome(batch: int, received_at: int, there: range, **changed: object) -> LedgerRow:
    where = (minutes.of(received_at), "k", BATCHES[batch], received_at)
    row = LedgerRow(*where, there.start, "outcome", len(there), host="host")
    return row._replace(**changed)  # type: ignore[arg-type]


def accounts(tables: MemoryTables) -> dict[tuple[str, int], Account]:
    rows = [row for _, row in tables.ledger]
    requests = {(row.batch_id, row.received_at) for row in rows if row.kind == "outcome"}
    return {key: account(row for row in rows if (row.batch_id, row.received_at) == key) for key in requests}


def truth(tables: MemoryTables, parts: Sequence[LedgerRow]) -> dict[tuple[str, int], Account]:
    """What stands, by request."""
    found = {}
    for batch_id, received_at in {(part.batch_id, part.received_at) for part in parts}:
        own = {part.first_index: part.events for part in parts if part[2:4] == (batch_id, received_at)}
        rows = [row for _, row in tables.raw if (row.batch_id, row.received_at) == (batch_id, received_at)]
        failed = sum(row.processing_status == "failed" for row in rows)
        events = sum(own.values())
        found[batch_id, received_at] = Account(events, len(rows) - failed, failed, events - len(rows))
    return found


@settings(max_examples=800, deadline=None)
@given(_batches, _blocks, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3]))
def test_at_rest_each_request_is_accounted_for_as_it_stands(
    batches: list[list[Event]], blocks: list[list[Message]], seed: int, accidents: float
) -> None:
    chance = random.Random(seed)
    opened_blocks = [[opened(batches, message) for message in block] for block in blocks]
    deliveries = [[one for found, _ in block for one in found] for block in opened_blocks]
    parts = [[part for found, part in block if found] for block in opened_blocks]
    world = World(deliveries, lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)), parts)
    choices = iter(lambda: chance.randrange(12), None)
    fates = (chance.choice(FATES) if chance.random() < accidents else "runs" for _ in range(200))
    world.run(choices, fates)
    world.finish({attempt for attempt, _, _ in world.at_work})
    told = [part for block in parts for part in block]
    assert accounts(world.tables) == truth(world.tables, told)


class Sending(NamedTuple):
    """A request as collect took it: which events, what its client's clock said, and when it came. Nothing is shared."""

    events: list[str]
    key: str
    took: int
    clock: int


def _cut(events: Sequence[str], size: int) -> list[list[str]]:
    return [list(events[first : first + size]) for first in range(0, len(events), size)]


@st.composite
def _sendings(draw: st.DrawFn) -> list[Sending]:
    """Each event up to five times, in any order, cut into requests anew each time."""
    often = draw(st.lists(st.integers(1, 5), min_size=1, max_size=len(EVENTS)))
    every = draw(st.permutations([event for event, times in zip(EVENTS, often, strict=False) for _ in range(times)]))
    return [
        Sending(
            cut,
            draw(st.sampled_from(["live_shop", "live_shop", "test_shop"])),
            draw(st.integers(0, 90)) * SECOND,
            draw(st.sampled_from([0, 0, 1, -3_600, 10**6])) * SECOND,
        )
        for cut in _cut(every, draw(st.integers(1, 4)))
    ]


def received(number: int, sending: Sending) -> tuple[list[Delivery], LedgerRow]:
    """What a client's clock is off by moves the timestamps of all that it sends."""
    received_at, batch_id = NOW + sending.took, str(uuid.UUID(int=1_000 + number))
    common = {"received_at": received_at, "batch_id": batch_id, "key_id": sending.key, "sent_at": NOW + sending.clock}
    found = [
        delivery(event_id=event, batch_index=place, timestamp=NOW - sending.clock, digest=event, **common)
        for place, event in enumerate(sending.events)
    ]
    where = (minutes.of(received_at), sending.key, batch_id, received_at)
    return found, LedgerRow(*where, 0, "outcome", len(found), host="host")


@settings(max_examples=500, deadline=None)
@given(_sendings(), st.integers(1, 3), st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3]))
def test_each_event_stands_once_however_often_and_in_whatever_requests_it_was_sent_and_the_ledger_balances(
    sendings: list[Sending], requests_a_block: int, seed: int, accidents: float
) -> None:
    chance = random.Random(seed)
    requests = [received(number, sending) for number, sending in enumerate(sendings)]
    blocks = [requests[first : first + requests_a_block] for first in range(0, len(requests), requests_a_block)]
    world = World(
        [[one for found, _ in block for one in found] for block in blocks],
        lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        [[part for _, part in block] for block in blocks],
    )
    fates = (chance.choice(FATES) if chance.random() < accidents else "runs" for _ in range(200))
    world.run(iter(lambda: chance.randrange(12), None), fates)
    world.finish({attempt for attempt, _, _ in world.at_work})
    sent = {event for sending in sendings for event in sending.events}
    assert sorted(row.event_id for _, row in world.tables.raw) == sorted(sent)
    assert sorted(row.event_id for _, row in world.tables.processed) == sorted(sent)
    told = accounts(world.tables)
    assert told == truth(world.tables, [part for _, part in requests])
    total = _all(told.values())
    deliveries = sum(len(sending.events) for sending in sendings)
    assert total == Account(deliveries, len(sent), 0, deliveries - len(sent))


def _all(accounts_of: Iterable[Account]) -> Account:
    total = Account()
    for one in accounts_of:
        total = total.plus(one)
    return total


def record(tables: MemoryTables, *blocks: tuple[list[Delivery], LedgerRow]) -> None:
    for deliveries, part in blocks:
        Recorder(tables, lambda: str(uuid.uuid4())).record(deliveries, [part])


def test_a_message_that_comes_again_is_told_of_as_it_was() -> None:
    tables = MemoryTables()
    batches = [[Event(EVENTS[0], False, 0), Event(EVENTS[1], True, 0)], [], []]
    one = opened(batches, Message(0, 0, 0))
    record(tables, one, one, one)
    assert accounts(tables) == {(BATCHES[0], NOW): Account(2, 1, 1)}
    assert [row.superseded for _, row in tables.ledger] == [[], [], []]


def test_a_resend_of_a_batch_is_a_request_of_duplicates() -> None:
    tables = MemoryTables()
    batches = [[Event(event_id, False, 0) for event_id in EVENTS], [], []]
    record(tables, opened(batches, Message(0, 0, 0)), opened(batches, Message(0, 2, 0)))
    assert accounts(tables) == {(BATCHES[0], NOW): Account(4, 4), (BATCHES[0], NOW + 2): Account(4, 0, 0, 4)}


def test_a_better_delivery_moves_the_event_from_one_request_to_the_other() -> None:
    tables = MemoryTables()
    batches = [[Event(EVENTS[0], True, 0), Event(EVENTS[1], False, 0)], [Event(EVENTS[0], False, 1)], []]
    record(tables, opened(batches, Message(0, 0, 0)), opened(batches, Message(1, 2, 0)))
    assert accounts(tables) == {(BATCHES[0], NOW): Account(2, 1, 0, 1), (BATCHES[1], NOW + 2): Account(1, 1)}


def test_an_event_that_failed_and_is_valid_by_newer_rules_is_mended_in_its_own_request() -> None:
    tables = MemoryTables()
    batches = [[Event(EVENTS[0], True, 0)], [], []]
    record(tables, opened(batches, Message(0, 0, 0)))
    record(tables, opened([[Event(EVENTS[0], False, 0)], [], []], Message(0, 0, 0)))
    assert accounts(tables) == {(BATCHES[0], NOW): Account(1, 1)}


def test_what_the_store_refuses_in_the_ledger_costs_no_event() -> None:
    tables = MemoryTables(lambda row: isinstance(row, LedgerRow) and row.host == "odd")
    batches = [[Event(EVENTS[0], False, 0)], [], []]
    deliveries, part = opened(batches, Message(0, 0, 0))
    Recorder(tables, lambda: "a").record(deliveries, [part._replace(host="odd"), part])
    assert len(tables.raw) == 1
    assert [row.host for _, row in tables.ledger] == ["host"]


def test_a_tally_without_an_outcome_is_in_flight_and_then_dead() -> None:
    tally = outcome(0, NOW, range(3), kind="tally")
    assert account([tally, tally]) == Account(3, in_flight=3)
    assert account([tally], dead=[0, 2]) == Account(3, dead=2, in_flight=1)
    assert account([tally, outcome(0, NOW, range(3), failed=[1])], dead=range(3)) == Account(3, 2, 1)
    assert account([], dead=[4]) == Account(1, dead=1)


def test_an_outcome_without_a_tally_was_received_all_the_same() -> None:
    assert account([outcome(0, NOW, range(3))]) == Account(3, 3)


def test_fewer_recorded_than_the_broker_held_are_in_flight() -> None:
    assert account([outcome(0, NOW, range(5), kind="tally"), outcome(0, NOW, range(3))]) == Account(5, 3, in_flight=2)


def test_what_collect_took_no_further_is_dropped_by_reason_and_a_resend_is_a_duplicate() -> None:
    tally = outcome(0, NOW, range(2), kind="tally", dropped={"consent": 3, RESENT: 4})
    assert account([tally, tally]) == Account(9, 0, 0, 4, in_flight=2, dropped={"consent": 3})


def test_what_was_erased_is_neither_stored_nor_failed() -> None:
    rows = [outcome(0, NOW, range(5), failed=[1], superseded=[2])]
    assert account(rows, erased=[1, 2, 3, 9]) == Account(5, 2, 0, 1, 2)


@given(st.permutations(range(4)))
def test_the_order_of_rows_is_of_no_account(order: list[int]) -> None:
    rows = [
        outcome(0, NOW, range(2), kind="tally", dropped={"origin": 1}),
        outcome(0, NOW, range(2), failed=[0, 1]),
        outcome(0, NOW, range(2, 4), superseded=[3]),
        outcome(0, NOW, range(0), kind="correction", mended=[0], superseded=[1]),
    ]
    assert account(rows[place] for place in order) == Account(5, 2, 0, 2, dropped={"origin": 1})


@pytest.mark.parametrize("nanoseconds", [-1, 0, 2**63 - 1])
def test_a_minute_is_what_a_column_holds(nanoseconds: int) -> None:
    assert 0 <= minutes.of(nanoseconds) < 2**32
    assert minutes.of(nanoseconds) % 60 == 0


def test_sums_of_accounts() -> None:
    both = Account(1, dropped={"a": 1}).plus(Account(2, 2, dropped={"a": 1, "b": 1}))
    assert both == Account(3, 2, dropped={"a": 2, "b": 1})


def test_a_part_that_a_replay_brought_is_of_the_same_events() -> None:
    where = (0, "k", "b", 7)
    whole = LedgerRow(*where, 0, "tally", 5)
    brought = [LedgerRow(*where, first, "outcome", events) for first, events in ((0, 2), (3, 2))]
    assert account([whole, *brought]) == Account(5, 4, in_flight=1)
    assert account([whole, *brought], dead=[2]) == Account(5, 4, dead=1)
