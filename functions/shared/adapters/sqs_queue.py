"""The queue on Amazon SQS (or an emulator of it).

SQS has no identity for messages in a standard queue, so a resend is never recognised here; the stores recognise the
events. Its own redrive (``maxReceiveCount``) moves a message without its cause, so where the dead-letter queue is
known the message is sent there with the cause as an attribute, and then deleted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.adapters import aws
from functions.shared.errors import Misconfigured, QueueUnavailable, TooLarge
from functions.shared.ports import Backlog, Depth, Message, Published, Received
from functions.shared.settings import QueueSettings

# 1 MiB a message and a call, attributes included.
CALL_BYTES = 1024 * 1024
ATTRIBUTE_BYTES = 4096
CALL_MESSAGES = 10
_LONG_POLL_SECONDS = 20
_CAUSE_CHARACTERS = 1000

T = TypeVar("T")


class SqsQueue:
    """Implements :class:`~functions.shared.ports.Queue`. Thread-safe as its client is."""

    def __init__(self, settings: QueueSettings, max_attempts: int = 5, delay_seconds: int = 0) -> None:
        """``delay_seconds`` is how much later what is published can be received."""
        if not settings.sqs_queue_url:
            raise Misconfigured("WEIR_SQS_QUEUE_URL: needed when WEIR_QUEUE is sqs")
        self._url = settings.sqs_queue_url
        self._dead_url = settings.sqs_dead_letter_url
        self._limit = min(settings.max_message_bytes, CALL_BYTES - ATTRIBUTE_BYTES)
        self._seconds = settings.publish_timeout_seconds
        self._max_attempts = max_attempts
        self._delay_seconds = delay_seconds
        # No retries of the client's own; half the deadline to connect and half to answer.
        self._half = self._seconds / 2
        self._sender = aws.client("sqs", connect_seconds=self._half, read_seconds=self._half)

    @property
    def max_message_bytes(self) -> int:
        """The setting, or SQS' own limit less the attributes."""
        return self._limit

    @cached_property
    def _receiver(self) -> Any:
        """Made when it is first needed: collect never receives, and a client takes a cold start longer."""
        return aws.client("sqs", connect_seconds=self._half, read_seconds=_LONG_POLL_SECONDS + 5)

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """See the port. A message over the limit raises :class:`TooLarge` before any is sent."""
        if any(len(message.body) > self._limit for message in messages):
            raise TooLarge("message_too_large", f"A queue message may have {self._limit} bytes.")
        until = time.monotonic() + self._seconds
        results: list[Published] = []
        # A tally is a message of the same call, which costs no more for it.
        tallies = [_tally(message) for message in messages if message.tally]
        for call in _calls([*messages, *tallies]):
            results += self._send(call) if time.monotonic() < until else _failed(call, "SQS did not answer in time.")
        results = results[: len(messages)]
        if results and all(result.error for result in results):
            raise QueueUnavailable(results[0].error)
        return results

    def note(self, message: Message) -> None:
        """See the port."""
        (noted,) = self._send([_tally(message)])
        if noted.error:
            raise QueueUnavailable(noted.error)

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """See the port. ``queued_at`` is in nanoseconds since the epoch (SQS knows milliseconds)."""
        answer = asked(
            lambda: self._receiver.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, CALL_MESSAGES),
                WaitTimeSeconds=min(int(-(-wait_seconds // 1)), _LONG_POLL_SECONDS),
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
        )
        return [_received(message) for message in answer.get("Messages", [])]

    def ack(self, received: Received) -> None:
        """See the port."""
        handle = received.handle["ReceiptHandle"]
        asked(lambda: self._sender.delete_message(QueueUrl=self._url, ReceiptHandle=handle))

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """See the port. Without a known dead-letter queue the cause is lost and the queue's redrive does the rest."""
        last = received.attempt >= self._max_attempts
        if last and self._dead_url:
            self._bury(received, cause)
            return True
        handle, seconds = received.handle["ReceiptHandle"], int(-(-after_seconds // 1))
        asked(
            lambda: self._sender.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=seconds
            )
        )
        return last

    def depth(self) -> Depth:
        """See the port. The numbers are SQS' approximations; without a known dead-letter queue ``dead`` is 0."""
        ready, delayed, hidden = self._counts(self._url)
        dead = sum(self._counts(self._dead_url)[:2]) if self._dead_url else 0
        # Of a queue that delays what is published: what it delayed. What it let go is among all others.
        return Depth(delayed, 0, dead) if self._delay_seconds else Depth(ready + delayed, hidden, dead)

    def backlog(self) -> Backlog:
        """See the port. SQS counts no bytes."""
        return Backlog(sum(self._counts(self._url)), 0)

    def oldest_at(self) -> int | None:
        """See the port."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()
        if "_receiver" in vars(self):
            self._receiver.close()

    def _send(self, messages: Sequence[Message]) -> list[Published]:
        entries = [
            {
                "Id": str(index),
                "MessageBody": message.body.decode("utf-8"),
                "MessageAttributes": {"Weir-Message-Id": _attribute(message.id)},
                "DelaySeconds": self._delay_seconds,
            }
            for index, message in enumerate(messages)
        ]
        try:
            answer = asked(lambda: self._sender.send_message_batch(QueueUrl=self._url, Entries=entries))
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
        asked(
            lambda: self._sender.send_message(QueueUrl=self._dead_url, MessageBody=body, MessageAttributes=attributes)
        )
        self.ack(received)

    def _counts(self, url: str) -> tuple[int, int, int]:
        waiting, hidden, delayed = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        answer = asked(
            lambda: self._sender.get_queue_attributes(QueueUrl=url, AttributeNames=[waiting, hidden, delayed])
        )
        counts = {name: int(value) for name, value in answer["Attributes"].items()}
        return counts[waiting], counts.get(delayed, 0), counts.get(hidden, 0)


def _tally(message: Message) -> Message:
    return Message(f"{message.id}:tally", message.tally.encode())


def _calls(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """In order, in calls of at most ten messages and one MiB."""
    call: list[Message] = []
    used = 0
    for message in messages:
        size = len(message.body) + len(message.id) + 256
        if call and (len(call) == CALL_MESSAGES or used + size > CALL_BYTES):
            yield call
            call, used = [], 0
        call.append(message)
        used += size
    if call:
        yield call


def asked(call: Callable[[], T]) -> T:
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
        message["MessageId"],
    )


def _attribute(value: str) -> dict[str, str]:
    # An attribute may not be empty, nor hold control characters.
    text = "".join(each if each.isprintable() else " " for each in value[:_CAUSE_CHARACTERS]).strip()
    return {"DataType": "String", "StringValue": text or "unknown"}
