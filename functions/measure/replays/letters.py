"""From what a broker gave up to rows, an event each. Pure.

A dead letter is a delivery: the same one given up twice, or collected twice, is one row, whose state says how often.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from functions.shared.domain import ids
from functions.shared.domain.privacy import Redactor
from functions.shared.ports import DeadMessage
from schemas import salvage
from schemas.bundle import Delivered, PartHeader, deliveries
from schemas.envelope import EnvelopeError, Header

IN_HAND, DEAD, FAILED, RESOLVED = range(4)
_LATEST = 2**63 - 1
# What is of single events, and of the row's own columns.
_NOT_SHARED = {"first_index", "ids", "opaque", "first_processed", "digests", "given"}
_NOTHING_KNOWN = PartHeader(batch_id="", batch_size=0, key_id="", received_at=0)


class Key(NamedTuple):
    """By what a delivery is known: nanoseconds, the batch, and the place in it."""

    received_at: int
    batch_id: str
    batch_index: int


class Letter(NamedTuple):
    """A row of ``dead_letters``; times are nanoseconds."""

    received_at: int
    batch_id: str
    batch_index: int
    dead_id: str
    event_id: str
    key_id: str
    platform: str
    event_type: str
    event_name: str
    user_id: str | None
    anonymous_id: str
    header: str
    raw_data: str
    raw_encoding: str
    digest: str
    readable: bool
    message_id: str
    queued_at: int
    dead_at: int

    @property
    def key(self) -> Key:
        """By what it is known."""
        return Key(self.received_at, self.batch_id, self.batch_index)


class Death(NamedTuple):
    """A letter, and the generation of the replay in which it was given up, 0 for the first way."""

    letter: Letter
    generation: int


def read(message: DeadMessage, redactor: Redactor) -> Iterator[Death]:
    """The events of a message; the message itself where it cannot be read.

    Raises :class:`~schemas.envelope.NewerEnvelope` for one that a newer release has to read.
    """
    try:
        delivered = deliveries(message.body)
    except EnvelopeError:
        yield Death(_unreadable(message, redactor), 0)
        return
    for each in delivered:
        generation = each.again.generation if each.again else 0
        for place in range(len(each.envelope.events)):
            yield Death(_letter(message, each, place, redactor), generation)


def _letter(message: DeadMessage, delivered: Delivered, place: int, redactor: Redactor) -> Letter:
    header, line = delivered.envelope.header, delivered.envelope.events[place]
    index = header.first_index + place
    refusal = redactor.refusal(None, line, header.signal)
    shown = redactor.text(line, refusal) if redactor.active else line
    event = salvage.members(shown)
    text, encoding = salvage.storable(shown)
    own = salvage.short(event, "event_id", 36).lower()
    known = header if isinstance(header, PartHeader) else _NOTHING_KNOWN
    digest = known.digests.get(index) or hashlib.sha256(line).hexdigest()
    user = salvage.short(event, "user_id", 256)
    key = Key(_instant(header.received_at), header.batch_id, index)
    return Letter(
        *key,
        dead_id=dead_id(key),
        event_id=header.ids.get(index) or (own if ids.is_uuid(own) else ids.named("dead-event", digest)),
        key_id=header.key_id,
        platform=salvage.short(event, "platform", 32),
        event_type=salvage.short(event, "event_type", 64),
        event_name=salvage.short(event, "event_name", 256),
        user_id=ids.user(user) if user else None,
        anonymous_id=salvage.short(event, "anonymous_id", 256)
        or ("" if user or refusal else known.given.get(index, "")),
        header=_shared(header, redactor, of_nobody=bool(refusal)),
        raw_data=text,
        raw_encoding=encoding,
        digest=digest,
        readable=True,
        message_id=message.id,
        queued_at=_instant(message.queued_at),
        dead_at=_instant(message.dead_at),
    )


def _unreadable(message: DeadMessage, redactor: Redactor) -> Letter:
    digest = hashlib.sha256(message.body).hexdigest()
    text, encoding = salvage.storable(redactor.unreadable(message.body))
    key = Key(_instant(message.queued_at), ids.named("message", digest), 0)
    header = Header(batch_id=key.batch_id, batch_size=1, key_id="", received_at=key.received_at)
    return Letter(
        *key,
        dead_id=dead_id(key),
        event_id=ids.named("message-event", digest),
        key_id="",
        platform="",
        event_type="",
        event_name="",
        user_id=None,
        anonymous_id="",
        header=_shared(header, redactor),
        raw_data=text,
        raw_encoding=encoding,
        digest=digest,
        readable=False,
        message_id=message.id,
        queued_at=_instant(message.queued_at),
        dead_at=_instant(message.dead_at),
    )


def dead_id(key: Key) -> str:
    """The name of a dead letter."""
    return ids.named("dead", f"{key.batch_id}:{key.received_at}:{key.batch_index}")


def _shared(header: Header, redactor: Redactor, of_nobody: bool = False) -> str:
    """The header as all events of its message have it, and as it may be stored."""
    without = _NOT_SHARED | {"request"} if of_nobody else _NOT_SHARED
    said: dict[str, Any] = header.model_dump(mode="json", exclude=without, exclude_defaults=True)
    if of_nobody:
        return msgspec.json.encode(said).decode()
    if address := header.request.ip:
        said["request"] = {**said["request"], "ip": redactor.address(address)}
    return msgspec.json.encode(said).decode()


def _instant(nanoseconds: int) -> int:
    """As the store can hold it."""
    return max(0, min(_LATEST, nanoseconds))


def version(generation: int, stage: int) -> int:
    """Which of two states of a letter is the later: by its replay, and within one by what happened there.

    A generation is a time in nanoseconds, and four times that a number of 64 bits until 2116.
    """
    return generation * 4 + stage
