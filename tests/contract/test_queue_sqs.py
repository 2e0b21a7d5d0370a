"""What only SQS can show: its calls' limits, an endpoint that is away, a queue without a known dead-letter queue."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from functions.shared.adapters.sqs_queue import ATTRIBUTE_BYTES, CALL_BYTES, SqsQueue, _calls
from functions.shared.errors import Misconfigured, QueueUnavailable
from functions.shared.ports import Message, Published
from functions.shared.settings import QueueSettings
from infra.local import surroundings
from tests.support.accounts import HOSTS, account
from tests.support.nats import free_port
from tests.support.polling import until
from tests.support.template import resources


@pytest.fixture(params=HOSTS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with account(request.param) as client:
        yield client("sqs").create_queue(QueueName="q", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]


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


@pytest.mark.parametrize("host", HOSTS)
def test_the_queues_of_the_template_are_taken_as_they_are_and_bury_what_was_tried_as_often(host: str) -> None:
    with account(host) as client:
        sqs = client("sqs")
        declared = {name: dict(one["Properties"]) for name, one in resources("AWS::SQS::Queue").items()}
        tries = declared["EventQueue"]["RedrivePolicy"]["maxReceiveCount"]
        dead = _made(sqs, "DeadLetterQueue", declared["DeadLetterQueue"])
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": tries}
        live = _made(sqs, "EventQueue", {**declared["EventQueue"], "RedrivePolicy": redrive})
        sqs.send_message(QueueUrl=live, MessageBody="poison")
        for _ in range(tries):
            [message] = sqs.receive_message(QueueUrl=live)["Messages"]
            sqs.change_message_visibility(QueueUrl=live, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        assert "Messages" not in sqs.receive_message(QueueUrl=live)
        assert [one["Body"] for one in sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5)["Messages"]] == ["poison"]


def _made(sqs: Any, name: str, declared: dict[str, Any]) -> str:
    """The queue's address, after its attributes were seen to be as declared."""
    declared = {key: value for key, value in declared.items() if key != "QueueName"}
    given = {key: json.dumps(value) for key, value in declared.items()}
    url = str(sqs.create_queue(QueueName=name, Attributes=given)["QueueUrl"])
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert {key: json.loads(kept[key]) for key in given} == declared
    return url


def test_an_endpoint_that_is_away_is_unavailable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in surroundings.aws(f"http://127.0.0.1:{free_port()}").items():
        monkeypatch.setenv(name, value)
    queue = SqsQueue(QueueSettings(queue="sqs", sqs_queue_url="http://127.0.0.1/q"))
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        queue.publish([Message("1", b"x")])
    assert time.monotonic() - began < 3
    queue.close()
