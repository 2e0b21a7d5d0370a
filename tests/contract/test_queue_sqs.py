"""What only SQS can show: its calls' limits, an endpoint that is away, a queue without a known dead-letter queue."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.shared.adapters.sqs_queue import ATTRIBUTE_BYTES, CALL_BYTES, SqsQueue, _calls
from functions.shared.errors import Misconfigured, QueueUnavailable
from functions.shared.ports import Message, Published
from functions.shared.settings import QueueSettings
from tests.support.nats import free_port
from tests.support.polling import until


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def url() -> Iterator[str]:
    with mock_aws():
        client: Any = boto3.client("sqs")
        yield client.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]


def test_the_url_is_needed() -> None:
    with pytest.raises(Misconfigured, match="WEIR_SQS_QUEUE_URL"):
        SqsQueue(QueueSettings(queue="sqs"))


def test_calls_are_cut_at_ten_messages_and_one_mebibyte() -> None:
    few = [Message(str(number), b"x" * 300_000) for number in range(5)]
    many = [Message(str(number), b"x") for number in range(23)]
    assert [len(call) for call in _calls(few)] == [3, 2]
    assert [len(call) for call in _calls(many)] == [10, 10, 3]
    assert [each for call in _calls(many) for each in call] == many


def test_a_message_may_fill_a_call(url: str) -> None:
    queue = SqsQueue(QueueSettings(queue="sqs", sqs_queue_url=url))
    assert queue.max_message_bytes == CALL_BYTES - ATTRIBUTE_BYTES
    body = b"n" * queue.max_message_bytes
    assert queue.publish([Message("1", body), Message("2", body)]) == [Published(False, "")] * 2
    queue.close()


def test_without_a_known_dead_letter_queue_the_redrive_does_the_rest(url: str) -> None:
    queue = SqsQueue(QueueSettings(queue="sqs", sqs_queue_url=url), max_attempts=1)
    queue.publish([Message("1", b"x")])
    (received,) = queue.receive(1, 1)
    assert queue.retry(received, 0, "cause") is True
    until(lambda: queue.depth() == (1, 0, 0), what="visible for the redrive")
    queue.close()


def test_a_queue_that_delays_tells_how_much_it_does(url: str) -> None:
    settings = QueueSettings(queue="sqs", sqs_queue_url=url)
    queue, slow = SqsQueue(settings), SqsQueue(settings, delay_seconds=60)
    queue.publish([Message("1", b"x")])
    slow.publish([Message("2", b"x"), Message("3", b"x")])
    assert slow.depth() == (2, 0, 0)
    assert queue.depth() == (3, 0, 0)
    assert queue.backlog().messages == slow.backlog().messages == 3
    for one in (queue, slow):
        one.close()


def test_one_refused_entry_is_told_of_and_the_others_stand(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = SqsQueue(QueueSettings(queue="sqs", sqs_queue_url=url))
    answer = {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError", "Message": "sorry"}]}
    monkeypatch.setattr(queue._sender, "send_message_batch", lambda **_: answer)
    results = queue.publish([Message(str(number), b"x") for number in range(3)])
    assert [result.error for result in results] == ["", "sorry", "SQS did not acknowledge."]
    queue.close()


def test_an_endpoint_that_is_away_is_unavailable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    queue = SqsQueue(QueueSettings(queue="sqs", sqs_queue_url="http://127.0.0.1/q"))
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        queue.publish([Message("1", b"x")])
    assert time.monotonic() - began < 3
    queue.close()
