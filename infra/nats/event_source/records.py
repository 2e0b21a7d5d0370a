"""Messages as the records an SQS event source would send, encoded once and counted in bytes."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from functions.shared.adapters.nats_names import MESSAGE_ID
from functions.shared.adapters.nats_pull import Taken

# Lambda takes 6 MiB of request; the rest is room for the frame.
PAYLOAD_BYTES = 6 * 1024 * 1024 - 64 * 1024
_OPEN, _CLOSE = b'{"Records":[', b"]}"


class Record(NamedTuple):
    """A message and its encoded form; ``unfit`` says why it can never be sent, else it is empty."""

    taken: Taken
    id: str
    encoded: bytes
    unfit: str = ""


def record(taken: Taken, attempt: int, region: str) -> Record:
    """Shape one message. ``attempt`` is how often the function has seen it, this time included."""
    identity = f"{taken.stream}:{taken.sequence}"
    body = taken.message.data
    try:
        encoded = orjson.dumps(
            {
                "messageId": identity,
                "receiptHandle": taken.message.reply,
                "body": body.decode("utf-8"),
                "attributes": {
                    "ApproximateReceiveCount": str(attempt),
                    "SentTimestamp": str(taken.queued_at // 1_000_000),
                    "SenderId": "weir",
                    "ApproximateFirstReceiveTimestamp": str(taken.queued_at // 1_000_000),
                    "SequenceNumber": str(taken.sequence),
                    "MessageDeduplicationId": (taken.message.headers or {}).get(MESSAGE_ID, ""),
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(body, usedforsecurity=False).hexdigest(),
                "eventSource": "weir:nats",
                "eventSourceARN": f"arn:weir:nats:{region}::{taken.stream}",
                "awsRegion": region,
            }
        )
    except UnicodeDecodeError:
        return Record(taken, identity, b"", "The body is not UTF-8 text.")
    if len(encoded) > PAYLOAD_BYTES:
        return Record(taken, identity, b"", "The body is too big for an invocation.")
    return Record(taken, identity, encoded)


def payload(records: Sequence[Record]) -> bytes:
    """The event: joined, not encoded again."""
    return _OPEN + b",".join(each.encoded for each in records) + _CLOSE


def fitting(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Cut where escaping made the batch bigger than an invocation may be."""
    batch: list[Record] = []
    used = 0
    for each in records:
        if batch and used + len(each.encoded) > PAYLOAD_BYTES:
            yield batch
            batch, used = [], 0
        batch.append(each)
        used += len(each.encoded) + 1
    if batch:
        yield batch
