"""The drain: what waits is enriched and settled, what fails alone is tried alone, an outage is nobody's fault."""

from collections.abc import Callable, Sequence

import pytest

from functions.enrich.drain import MESSAGES, Drain
from functions.enrich.service import Enriched, Incoming
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import Depth, Message
from tests.unit.enrich.test_service import EVENT, message, service

MAX_ATTEMPTS = 3
Handle = Callable[[Sequence[Incoming]], Enriched]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """A service that does as it is told."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> MemoryQueue:
    return MemoryQueue(max_attempts=MAX_ATTEMPTS, clock=clock)


def drain(queue: MemoryQueue, handle: Handle, clock: Clock) -> Drain:
    return Drain(queue, Scripted(handle), clock, lambda *_: None)  # type: ignore[arg-type]


def publish(queue: MemoryQueue, *bodies: bytes) -> None:
    queue.publish([Message(f"{number}-{body!r}", body) for number, body in enumerate(bodies)])


def taken(messages: Sequence[Incoming]) -> Enriched:
    return Enriched({}, {"events": len(messages)}, {})


def bad(body: bytes, by: Exception) -> Handle:
    """Fails as a whole whenever this body is among the messages."""

    def handle(messages: Sequence[Incoming]) -> Enriched:
        if any(each.body == body for each in messages):
            raise by
        return taken(messages)

    return handle


def test_what_waits_is_stored_and_settled(queue: MemoryQueue, clock: Clock) -> None:
    queue.publish([Message("1", message(EVENT).body)])
    tables = MemoryTables()
    done = Drain(queue, service(tables), clock, lambda *_: None).run(10)
    assert (done.state, done.counts["events"], len(tables.processed)) == ("empty", 1, 1)
    assert queue.depth() == Depth(0, 0, 0)


def test_more_than_a_block_is_taken_in_blocks(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, *[b"%d" % number for number in range(MESSAGES + 1)])
    sizes: list[int] = []
    done = drain(queue, lambda messages: sizes.append(len(messages)) or taken(messages), clock).run(10)
    assert (sizes, done.counts["events"]) == ([MESSAGES, 1], MESSAGES + 1)


def test_no_block_is_begun_when_the_time_is_over(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, *[b"%d" % number for number in range(MESSAGES + 1)])

    def slow(messages: Sequence[Incoming]) -> Enriched:
        clock.now += 10
        return taken(messages)

    assert drain(queue, slow, clock).run(10).state == "left"
    assert queue.depth() == Depth(1, 0, 0)


def test_an_empty_queue_is_told_of(queue: MemoryQueue, clock: Clock) -> None:
    assert drain(queue, taken, clock).run(10) == ("empty", {"events": 0, "dead_letters": 0}, "")


def test_a_bad_message_costs_its_neighbours_no_try(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, b"a", b"bad", b"b")
    done = drain(queue, bad(b"bad", ValueError("no")), clock).run(10)
    assert (done.counts["events"], queue.depth()) == (2, Depth(0, 1, 0))


def test_a_message_that_fails_each_time_is_a_dead_letter_with_its_cause(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, b"bad")
    draining = drain(queue, bad(b"bad", ValueError("no")), clock)
    for _ in range(MAX_ATTEMPTS):
        draining.run(10)
        clock.now += 60
    assert [(each.body, each.attempts, each.cause) for each in queue.dead_letters] == [
        (b"bad", MAX_ATTEMPTS, "ValueError")
    ]


def test_a_message_that_the_service_names_comes_again(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, b"a", b"b")
    drain(queue, lambda messages: Enriched({messages[0].id: "KeyError"}, {}, {}), clock).run(10)
    assert queue.depth() == Depth(0, 1, 0)


def test_what_the_service_names_each_time_is_a_dead_letter_with_the_cause_it_gave(
    queue: MemoryQueue, clock: Clock
) -> None:
    publish(queue, b"a")
    draining = drain(queue, lambda messages: Enriched({messages[0].id: "KeyError"}, {}, {}), clock)
    for _ in range(MAX_ATTEMPTS):
        draining.run(10)
        clock.now += 60
    assert [(each.body, each.cause) for each in queue.dead_letters] == [(b"a", "KeyError")]


def test_an_outage_of_the_store_counts_no_try_however_long(queue: MemoryQueue, clock: Clock) -> None:
    publish(queue, b"a")
    away = drain(queue, bad(b"a", StoreUnavailable("ClickHouse is away")), clock)
    for _ in range(MAX_ATTEMPTS + 2):
        done = away.run(10)
        assert (done.state, done.detail) == ("failed", "ClickHouse is away")
        clock.now += 100
    away._service.handle = bad(b"a", ValueError("no"))
    away.run(10)
    assert (queue.depth(), queue.dead_letters) == (Depth(0, 1, 0), [])


def test_a_broker_that_is_away_is_told_of(queue: MemoryQueue, clock: Clock) -> None:
    queue.available = False
    assert drain(queue, taken, clock).run(10).state == "failed"
