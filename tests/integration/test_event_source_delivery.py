"""The policy of the event source alone: what becomes of each message, by what the function answers."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from nats.aio.msg import Msg

from functions.shared.adapters.nats_pull import Taken
from functions.shared.errors import Misconfigured
from functions.shared.settings import load
from infra.nats.event_source.delivery import Delivery
from infra.nats.event_source.outcomes import Answered, Failed, Lost, Outcome, Unreached
from infra.nats.event_source.records import PAYLOAD_BYTES, Record, payload
from infra.nats.event_source.report import Counters
from infra.nats.event_source.settings import EventSourceSettings

Answer = Callable[[Sequence[Record]], Outcome]


class Settled:
    """Remembers what was said of each message, by its sequence."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.delays: list[tuple[int, float]] = []
        self.dead: list[tuple[int, int, str]] = []
        self.can_bury = True

    async def ack(self, taken: Taken) -> None:
        self.acked.append(taken.sequence)

    async def later(self, taken: Taken, after_seconds: float) -> None:
        self.delays.append((taken.sequence, after_seconds))

    async def bury(self, taken: Taken, attempts: int, cause: str) -> bool:
        if self.can_bury:
            self.dead.append((taken.sequence, attempts, cause))
        return self.can_bury


class Bench:
    """A delivery between a scripted function and a remembering broker."""

    def __init__(self, answer: Answer, **settings: object) -> None:
        self.answer = answer
        self.invoked: list[list[int]] = []
        self.payloads: list[bytes] = []
        self.settled = Settled()
        made = EventSourceSettings(**{"event_source_backoff_seconds": "1,5", **settings})  # type: ignore[arg-type]
        self._delivery = Delivery(made, self._invoke, self.settled, Counters(), "eu-west-1")

    async def _invoke(self, records: Sequence[Record]) -> Outcome:
        self.invoked.append([each.taken.sequence for each in records])
        self.payloads.append(payload(records))
        return self.answer(records)

    def deliver(self, *sequences: int, body: bytes = b"x") -> bool:
        batch = [Taken(Msg(_client=None, reply="r", data=body), each, 9, 10**18) for each in sequences]  # type: ignore[arg-type]
        return asyncio.run(self._delivery.deliver(batch))


def fail_with(*poison: int) -> Answer:
    def answer(records: Sequence[Record]) -> Outcome:
        bad = {each.taken.sequence for each in records} & set(poison)
        return Failed("crash") if bad else Answered()

    return answer


def test_the_first_failure_of_a_batch_is_retried_as_a_batch() -> None:
    bench = Bench(fail_with(2))
    assert bench.deliver(1, 2, 3)
    assert bench.invoked == [[1, 2, 3]]
    assert bench.settled.delays == [(1, 1.0), (2, 1.0), (3, 1.0)]


def test_the_second_is_taken_apart_and_newcomers_are_charged_only_for_themselves() -> None:
    bench = Bench(fail_with(2))
    bench.deliver(1, 2)
    bench.deliver(1, 2, 7)
    assert bench.invoked[1:] == [[1, 2, 7], [1], [2], [7]]
    assert bench.settled.acked == [1, 7]
    assert bench.settled.delays[-1] == (2, 5.0)


def test_what_failed_alone_stays_alone() -> None:
    bench = Bench(fail_with(2))
    for _ in range(2):
        bench.deliver(1, 2)
    bench.deliver(8, 2, 9)
    assert bench.invoked[-2:] == [[8, 9], [2]]


def test_it_is_buried_after_the_last_try_and_then_forgotten() -> None:
    bench = Bench(fail_with(2), event_source_max_attempts=3)
    for _ in range(3):
        bench.deliver(2)
    assert bench.settled.dead == [(2, 3, "crash")]
    bench.deliver(2)
    assert len(bench.settled.dead) == 1


def test_a_dead_letter_that_could_not_be_stored_keeps_the_message() -> None:
    bench = Bench(fail_with(2), event_source_max_attempts=1)
    bench.settled.can_bury = False
    bench.deliver(2)
    assert (bench.settled.acked, bench.settled.dead) == ([], [])
    assert [sequence for sequence, _ in bench.settled.delays] == [2]


@pytest.mark.parametrize("outcome", [Unreached("refused"), Lost("timed out")])
def test_what_is_not_the_messages_fault_is_never_a_try(outcome: Outcome) -> None:
    bench = Bench(lambda _: outcome, event_source_max_attempts=2)
    for _ in range(10):
        bench.deliver(1, 2)
    assert bench.settled.dead == []
    assert all(b'"ApproximateReceiveCount":"1"' in sent for sent in bench.payloads)


def test_a_batch_whose_answer_was_lost_twice_is_taken_apart() -> None:
    bench = Bench(lambda records: Lost("hangs") if 2 in [each.taken.sequence for each in records] else Answered())
    bench.deliver(1, 2)
    bench.deliver(1, 2)
    assert bench.settled.acked == [1]


def test_an_unreachable_function_is_reported_and_asked_once() -> None:
    bench = Bench(fail_with(1))
    bench.deliver(1, 2, 3)
    bench.answer = lambda records: Failed("crash") if len(records) > 1 else Unreached("gone")
    assert not bench.deliver(1, 2, 3)
    assert bench.invoked[1:] == [[1, 2, 3], [1]]
    assert [sequence for sequence, _ in bench.settled.delays[3:]] == [1, 2, 3]


def test_a_batch_is_cut_to_what_an_invocation_takes() -> None:
    bench = Bench(lambda _: Answered())
    bench.deliver(1, 2, 3, body=b'"' * 1_500_000)
    assert bench.invoked == [[1, 2], [3]]
    assert max(map(len, bench.payloads)) <= PAYLOAD_BYTES + 64 * 1024


@pytest.mark.parametrize(("body", "cause"), [(b"\xff", "not UTF-8"), (b'"' * 3_200_000, "too big")])
def test_what_can_never_be_sent_is_buried_at_once(body: bytes, cause: str) -> None:
    bench = Bench(lambda _: Answered())
    bench.deliver(1, body=body)
    assert bench.invoked == []
    assert cause in bench.settled.dead[0][2]


def test_settings_come_from_variables_and_a_wrong_one_is_named() -> None:
    settings = load(EventSourceSettings, {"WEIR_EVENT_SOURCE_BACKOFF_SECONDS": "0.5, 2"})
    assert [settings.backoff_seconds(tries) for tries in (1, 2, 3)] == [0.5, 2.0, 2.0]
    with pytest.raises(Misconfigured, match="WEIR_EVENT_SOURCE_BACKOFF_SECONDS"):
        load(EventSourceSettings, {"WEIR_EVENT_SOURCE_BACKOFF_SECONDS": "soon"})
