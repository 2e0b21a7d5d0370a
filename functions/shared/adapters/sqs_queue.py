"""The queue on Amazon SQS (or an emulator of it).

SQS has no identity for messages in a standard queue, so a resend is never recognised here; the stores recognise the
events. Its own redrive (``maxReceiveCount``) moves a message without its cause, so where the dead-letter queue is
known the message is sent there with the cause as an attribute, and then deleted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.errors import Misconfigured, QueueUnavailable, TooLarge
from functions.shared.ports import Depth, Message, Published, Received
from functions.shared.settings import QueueSettings

# 1 MiB a message and a call, attributes included.
CALL_BYTES = 1024 * 1024
ATTRIBUTE_BYTES = 4096
_CALL_MESSAGES = 10
_LONG_POLL_SECONDS = 20
_CAUSE_CHARACTERS = 1000

T = TypeVar("T")


class SqsQueue:
    """Implements :class:`~functions.shared.ports.Queue`. Thread-safe as its client is."""

    def __init__(self, settings: QueueSettings, max_attempts: int = 5) -> None:
        if not settings.sqs_queue_url:
            raise Misconfigured("WEIR_SQS_QUEUE_URL: needed when WEIR_QUEUE is sqs")
        self._url = settings.sqs_queue_url
        self._dead_url = settings.sqs_dead_letter_url
        self._limit = min(settings.max_message_bytes, CALL_BYTES - ATTRIBUTE_BYTES)
        self._seconds = settings.publish_timeout_seconds
        self._max_attempts = max_attempts
        # No retries of the client's own; half the deadline to connect and half to answer.
        half = self._seconds / 2
        self._sender = _client(half, half)
        self._receiver = _client(half, _LONG_POLL_SECONDS + 5)

    @property
    def max_message_bytes(self) -> int:
        """The setting, or SQS' own limit less the attributes."""
        return self._limit

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """See the port. A message over the limit raises :class:`TooLarge` before any is sent."""
        if any(len(message.body) > self._limit for message in messages):
            raise TooLarge("message_too_large", f"A queue message may have {self._limit} bytes.")
        until = time.monotonic() + self._seconds
        results: list[Published] = []
        for call in _calls(messages):
            results += self._send(call) if time.monotonic() < until else _failed(call, "SQS did not answer in time.")
        if results and all(result.error for result in results):
            raise QueueUnavailable(results[0].error)
        return results

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """See the port. ``queued_at`` is in nanoseconds since the epoch (SQS knows milliseconds)."""
        answer = _asked(
            lambda: self._receiver.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, _CALL_MESSAGES),
                WaitTimeSeconds=min(int(-(-wait_seconds // 1)), _LONG_POLL_SECONDS),
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
        )
        return [_received(message) for message in answer.get("Messages", [])]

    def ack(self, received: Received) -> None:
        """See the port."""
        handle = received.handle["ReceiptHandle"]
        _asked(lambda: self._sender.delete_message(QueueUrl=self._url, ReceiptHandle=handle))

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """See the port. Without a known dead-letter queue the cause is lost and the queue's redrive does the rest."""
        last = received.attempt >= self._max_attempts
        if last and self._dead_url:
            self._bury(received, cause)
            return True
        handle, seconds = received.handle["ReceiptHandle"], int(-(-after_seconds // 1))
        _asked(
            lambda: self._sender.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=seconds
            )
        )
        return last

    def depth(self) -> Depth:
        """See the port. The numbers are SQS' approximations; without a known dead-letter queue ``dead`` is 0."""
        ready = self._counts(self._url)
        dead = self._counts(self._dead_url)[0] if self._dead_url else 0
        return Depth(ready[0], ready[1], dead)

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()
        self._receiver.close()

    def _send(self, messages: Sequence[Message]) -> list[Published]:
        entries = [
            {
                "Id": str(index),
                "MessageBody": message.body.decode("utf-8"),
                "MessageAttributes": {"Weir-Message-Id": _attribute(message.id)},
            }
            for index, message in enumerate(messages)
        ]
        try:
            answer = _asked(lambda: self._sender.send_message_batch(QueueUrl=self._url, Entries=entries))
        except QueueUnavailable as error:
            return _failed(messages, error.detail)
        held = {entry["Id"] for entry in answer.get("Successful", [])}
        causes = {entry["Id"]: entry.get("Message", entry["Code"]) for entry in answer.get("Failed", [])}
        return [
            Published(False, "" if str(index) in held else causes.get(str(index), "SQS did not acknowledge."))
            for index in range(len(messages))
        ]

    def _bury(self, received: Received, cause: str) -> None:
        attributes = {
            **received.handle.get("MessageAttributes", {}),
            "Weir-Cause": _attribute(cause),
            "Weir-Attempts": _attribute(str(received.attempt)),
            "Weir-First-Queued-At": _attribute(str(received.queued_at)),
        }
        body = received.body.decode("utf-8")
        _asked(
            lambda: self._sender.send_message(QueueUrl=self._dead_url, MessageBody=body, MessageAttributes=attributes)
        )
        self.ack(received)

    def _counts(self, url: str) -> tuple[int, int]:
        waiting, hidden, delayed = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        answer = _asked(
            lambda: self._sender.get_queue_attributes(QueueUrl=url, AttributeNames=[waiting, hidden, delayed])
        )
        counts = {name: int(value) for name, value in answer["Attributes"].items()}
        return counts[waiting] + counts.get(delayed, 0), counts.get(hidden, 0)


def _client(connect_seconds: float, read_seconds: float) -> Any:
    return boto3.client(
        "sqs",
        config=Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
        ),
    )


def _calls(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """In order, in calls of at most ten messages and one MiB."""
    call: list[Message] = []
    used = 0
    for message in messages:
        size = len(message.body) + len(message.id) + 256
        if call and (len(call) == _CALL_MESSAGES or used + size > CALL_BYTES):
            yield call
            call, used = [], 0
        call.append(message)
        used += size
    if call:
        yield call


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailable(f"SQS: {error}") from error


def _failed(messages: Sequence[Message], cause: str) -> list[Published]:
    return [Published(False, cause)] * len(messages)


def _received(message: dict[str, Any]) -> Received:
    attributes = message.get("Attributes", {})
    return Received(
        message["Body"].encode("utf-8"),
        int(attributes.get("ApproximateReceiveCount", 1)),
        int(attributes.get("SentTimestamp", 0)) * 1_000_000,
        message,
    )


def _attribute(value: str) -> dict[str, str]:
    # An attribute may not be empty, nor hold control characters.
    text = "".join(each if each.isprintable() else " " for each in value[:_CAUSE_CHARACTERS]).strip()
    return {"DataType": "String", "StringValue": text or "unknown"}
