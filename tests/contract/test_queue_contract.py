"""What every queue promises: one class of tests, run on the fake and on the real ones."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared.errors import TooLarge
from functions.shared.ports import Backlog, Depth, Message, Queue, Received
from tests.contract.queue_subjects import LIMIT_BYTES, MAX_ATTEMPTS, SUBJECTS, Subject
from tests.support.polling import until

pytestmark = pytest.mark.engines


@pytest.fixture(params=sorted(SUBJECTS))
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with SUBJECTS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def queue(subject: Subject) -> Queue:
    return subject.queue


def message(body: bytes = b"x") -> Message:
    return Message(str(uuid.uuid4()), body)


def take(queue: Queue, count: int = 1) -> list[Received]:
    """Exactly so many, however the broker hands them out."""
    found: list[Received] = []

    def enough() -> bool:
        found.extend(queue.receive(count - len(found), 0.2))
        return len(found) >= count

    until(enough, 8, f"{count} messages")
    return found


class TestQueue:
    def test_a_message_is_published_received_and_settled(self, queue: Queue) -> None:
        assert [(each.duplicate, each.error) for each in queue.publish([message(b"hello")])] == [(False, "")]
        # NATS acknowledges before its consumer has counted.
        until(lambda: queue.depth() == Depth(ready=1, in_flight=0, dead=0), what="one message that waits")
        (received,) = take(queue)
        assert (received.body, received.attempt) == (b"hello", 1)
        assert abs(received.queued_at - time.time_ns()) < 60e9
        assert queue.depth() == Depth(ready=0, in_flight=1, dead=0)
        queue.ack(received)
        until(lambda: queue.depth() == Depth(0, 0, 0), what="the queue is empty")
        until(lambda: queue.backlog() == Backlog(0, 0), what="no backlog")

    def test_the_backlog_is_what_is_not_settled(self, subject: Subject) -> None:
        queue = subject.queue
        queue.publish([Message(f"m-{number}", b"x" * 1_000) for number in range(2)])
        assert queue.backlog().messages == 2
        assert queue.backlog().bytes == 0 or 2_000 <= queue.backlog().bytes < 4_000
        (taken,) = queue.receive(1, 1)
        assert queue.backlog().messages == 2
        queue.ack(taken)
        until(lambda: queue.backlog().messages == 1, what="one message less")

    def test_the_oldest_message_is_told_by_when_it_was_queued_until_it_is_settled(self, queue: Queue) -> None:
        first_at = time.time_ns()
        queue.publish([message(b"first"), message(b"second")])
        if queue.oldest_at() is None:
            return  # A broker that does not tell never does.
        assert abs((queue.oldest_at() or 0) - first_at) < 60e9
        first, second = take(queue, 2)
        queue.ack(first)
        until(lambda: abs((queue.oldest_at() or 0) - second.queued_at) < 1_000_000, what="the second is the oldest")
        queue.ack(second)
        until(lambda: queue.oldest_at() == 0, what="nothing is left")

    def test_nothing_to_publish(self, queue: Queue) -> None:
        assert queue.publish([]) == []

    def test_nothing_to_receive(self, queue: Queue) -> None:
        began = time.monotonic()
        assert queue.receive(10, 0.2) == []
        assert 0.15 < time.monotonic() - began < 2.5
        assert queue.receive(10, 0) == []

    def test_results_are_in_the_order_of_the_messages(self, subject: Subject) -> None:
        messages = [message(b"%d" % number) for number in range(25)]
        subject.queue.publish([messages[7]])
        results = subject.queue.publish(messages)
        assert [result.error for result in results] == [""] * 25
        known = [index for index, result in enumerate(results) if result.duplicate]
        assert known == ([7] if subject.recognises_resends else [])

    def test_messages_come_in_order(self, subject: Subject) -> None:
        subject.queue.publish([message(b"%d" % number) for number in range(25)])
        bodies = [int(received.body) for received in take(subject.queue, 25)]
        assert (bodies if subject.keeps_order else sorted(bodies)) == list(range(25))

    def test_no_more_are_received_than_asked_for(self, queue: Queue) -> None:
        queue.publish([message() for _ in range(5)])
        assert len(queue.receive(3, 1)) <= 3

    def test_a_resend_is_recognised_where_the_broker_can(self, subject: Subject) -> None:
        sent = message(b"once")
        subject.queue.publish([sent])
        (again,) = subject.queue.publish([sent])
        assert again.error == ""
        assert again.duplicate is subject.recognises_resends
        assert subject.queue.depth().ready == (1 if subject.recognises_resends else 2)

    def test_a_settled_message_is_still_recognised(self, subject: Subject) -> None:
        sent = message(b"once")
        subject.queue.publish([sent])
        subject.queue.ack(take(subject.queue)[0])
        (again,) = subject.queue.publish([sent])
        assert again.duplicate is subject.recognises_resends

    def test_a_retried_message_comes_again_after_the_delay(self, queue: Queue) -> None:
        queue.publish([message(b"later")])
        (received,) = take(queue)
        assert queue.retry(received, 1.0, "not yet") is False
        given_back = time.monotonic()
        assert queue.receive(1, 0) == []
        (again,) = take(queue)
        assert time.monotonic() - given_back > 0.7
        assert (again.body, again.attempt) == (b"later", 2)

    def test_an_unsettled_message_comes_back(self, queue: Queue) -> None:
        queue.publish([message(b"forgotten")])
        (first,) = take(queue)
        (again,) = take(queue)
        assert (again.body, again.attempt) == (b"forgotten", 2)
        assert (again.queued_at, again.id) == (first.queued_at, first.id)

    def test_after_the_last_try_it_is_a_dead_letter_with_its_cause(self, subject: Subject) -> None:
        queue = subject.queue
        queue.publish([message(b"bad \xc3\xbc")])
        ends = []
        for attempt in range(1, MAX_ATTEMPTS + 1):
            (received,) = take(queue)
            assert received.attempt == attempt
            ends.append(queue.retry(received, 0, "Broken: all of it"))
        assert ends == [False] * (MAX_ATTEMPTS - 1) + [True]
        until(lambda: queue.depth() == Depth(0, 0, 1), what="one dead letter, nothing else")
        assert subject.dead_letters() == [(b"bad \xc3\xbc", "Broken: all of it", str(MAX_ATTEMPTS))]

    @pytest.mark.parametrize("cause", ["", "two\r\nlines", "x" * 5000, "é\u2028\x00"])
    def test_any_text_can_be_a_cause(self, subject: Subject, cause: str) -> None:
        queue = subject.queue
        queue.publish([message(b"x" * (LIMIT_BYTES - 1))])
        for _ in range(MAX_ATTEMPTS):
            queue.retry(take(queue)[0], 0, cause)
        assert queue.depth().dead == 1
        assert len(subject.dead_letters()) == 1

    def test_a_message_may_have_exactly_the_limit(self, queue: Queue) -> None:
        assert queue.max_message_bytes == LIMIT_BYTES
        body = b"n" * LIMIT_BYTES
        assert queue.publish([message(body)])[0].error == ""
        assert take(queue)[0].body == body

    def test_one_byte_more_is_refused_and_nothing_is_sent(self, queue: Queue) -> None:
        with pytest.raises(TooLarge, match=str(LIMIT_BYTES)):
            queue.publish([message(b"fits"), message(b"n" * (LIMIT_BYTES + 1))])
        assert queue.depth().ready == 0

    def test_many_big_messages_at_once(self, queue: Queue) -> None:
        bodies = [bytes([65 + number]) * LIMIT_BYTES for number in range(12)]
        assert [each.error for each in queue.publish([message(body) for body in bodies])] == [""] * 12
        assert sorted(received.body for received in take(queue, 12)) == bodies

    @pytest.mark.parametrize(
        "text",
        ["Grüße, 世界 🎉", '{"a": "\\"quoted\\"\\n"}\n{"b": "\ttab"}', " leading and trailing ", "\\u0000 & <x/>"],
    )
    def test_a_body_comes_back_byte_for_byte(self, queue: Queue, text: str) -> None:
        queue.publish([message(text.encode())])
        assert take(queue)[0].body == text.encode()
