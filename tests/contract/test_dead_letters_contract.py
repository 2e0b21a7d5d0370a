"""What was given up can be looked at, stays until it is removed, and says why: on every broker."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from functions.shared.adapters.memory_dead_letters import MemoryDeadLetters
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.adapters.nats_dead_letters import NatsDeadLetters
from functions.shared.adapters.nats_names import NAMES
from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.adapters.sqs_dead_letters import SqsDeadLetters
from functions.shared.adapters.sqs_queue import SqsQueue
from functions.shared.ports import DeadMessage, DeadMessages, Message, Queue
from functions.shared.settings import QueueSettings
from tests.contract.queue_subjects import fresh_topology
from tests.support.accounts import HOSTS, account
from tests.support.nats import NatsServer

pytestmark = pytest.mark.engines
Subject = tuple[Queue, DeadMessages]


def _memory(_: Path) -> Iterator[Subject]:
    queue = MemoryQueue(max_attempts=1)
    yield queue, MemoryDeadLetters(queue)


def _nats(folder: Path) -> Iterator[Subject]:
    server = NatsServer(folder).start()
    asyncio.run(fresh_topology(server.url))
    settings = QueueSettings(nats_url=server.url)
    queue, box = NatsQueue(settings, max_attempts=1), NatsDeadLetters(settings)
    yield queue, box
    queue.close()
    box.close()
    server.kill()


def _sqs(host: str) -> Iterator[Subject]:
    with account(host) as client:
        sqs = client("sqs")
        urls = [
            sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"] for name in ("q", "d")
        ]
        settings = QueueSettings(queue="sqs", sqs_queue_url=urls[0], sqs_dead_letter_url=urls[1])
        yield SqsQueue(settings, max_attempts=1), SqsDeadLetters(settings)


@pytest.fixture(params=["memory", "nats", *(f"sqs-{host}" for host in HOSTS)])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    kind, _, host = request.param.partition("-")
    if kind == "sqs":
        yield from _sqs(host)
    else:
        yield from (_nats if kind == "nats" else _memory)(tmp_path)


def give_up(queue: Queue, count: int) -> None:
    queue.publish([Message(f"m{number}", b"body %d" % number) for number in range(count)])
    left = count
    while left:
        for received in queue.receive(left, 1):
            assert queue.retry(received, 0, f"why {received.body.decode()}")
            left -= 1


def emptied(box: DeadMessages, at_once: int) -> list[DeadMessage]:
    found: list[DeadMessage] = []
    while messages := box.take(at_once):
        found += messages
        box.remove(messages)
    return found


def test_what_was_given_up_says_why_since_when_and_after_how_many_tries(subject: Subject) -> None:
    queue, box = subject
    give_up(queue, 1)
    [one] = box.take(5)
    assert (one.body, one.cause, one.attempts) == (b"body 0", "why body 0", 1)
    assert 0 < one.queued_at <= one.dead_at


def test_it_stays_until_it_is_removed_and_is_then_gone(subject: Subject) -> None:
    queue, box = subject
    give_up(queue, 1)
    [before] = box.take(5)
    [again] = box.take(5)
    assert before.body == again.body
    box.remove([again])
    assert (box.take(5), queue.depth().dead) == ([], 0)


def test_of_many_each_comes_once_however_many_are_taken_at_a_time(subject: Subject) -> None:
    queue, box = subject
    give_up(queue, 23)
    assert sorted(one.body for one in emptied(box, 4)) == sorted(b"body %d" % number for number in range(23))
    assert queue.depth().dead == 0


def test_nothing_was_given_up_and_nothing_comes(subject: Subject) -> None:
    _, box = subject
    assert box.take(5) == []
    box.remove([])


def test_on_nats_places_without_a_message_are_passed_over(tmp_path: Path) -> None:
    for queue, box in _nats(tmp_path):
        give_up(queue, 9)
        messages = box.take(9)
        box.remove([*messages[1:8]])
        box.remove([messages[3]])
        assert [one.place for one in box.take(2)] == [messages[0].place]
        assert [one.place for one in box.take(2, messages[0].place)] == [messages[8].place]
        assert box.take(2, messages[8].place) == []


def test_on_nats_a_message_that_says_nothing_of_itself_is_taken_too(tmp_path: Path) -> None:
    async def publish(url: str) -> None:
        client = Client()
        await client.connect(url)
        answer = await client.request(NAMES.dead_subject, b"\xff\x00", timeout=2)
        assert json.loads(answer.data)["seq"] == 1
        await client.close()

    server = NatsServer(tmp_path).start()
    try:
        asyncio.run(fresh_topology(server.url))
        asyncio.run(publish(server.url))
        box = NatsDeadLetters(QueueSettings(nats_url=server.url))
        [one] = box.take(5)
        assert (one.body, one.attempts, one.queued_at) == (b"\xff\x00", 1, one.dead_at)
        box.remove([one])
        box.close()
    finally:
        server.kill()
