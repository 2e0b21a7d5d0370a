"""The queue envelope: one message a batch, from collect to enrich.

Version 2 is text of lines. The first line is the header, a JSON object; each further line is one event exactly
as it was sent (line breaks between tokens became spaces). The events are never parsed to be forwarded. A line that
is not clean text (bad UTF-8, control characters, which SQS refuses) is empty and travels in ``opaque``, base64.

Version 1 was one JSON object ``{"v": 1, "batch_id", "key_id", "received_at", "sent_at", "request", "events": [{…}]}``.
It is still read: a message may outlive the release that wrote it.

Version 3 is what a replay brings again (``schemas.bundle``).
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

BUNDLE_VERSION: Literal[3] = 3
CURRENT_VERSION = BUNDLE_VERSION
_ENVELOPE_VERSION = 2
_CONTROL = bytes(set(range(32)) - {9})
# Not characters of XML 1.0, which is what SQS accepts.
_REFUSED = {"\ufffe", "\uffff"}


class EnvelopeError(ValueError):
    """The message is not an envelope of any version that was ever written."""


class NewerEnvelope(ValueError):
    """A newer release wrote the message: nothing is wrong with it, and that release has to read it."""


class RequestInfo(BaseModel):
    """What the HTTP request says of the client, for events that do not say it themselves."""

    model_config = ConfigDict(frozen=True)

    ip: str = ""
    user_agent: str = ""


class Header(BaseModel):
    """The first line of a version 2 envelope. Times are nanoseconds since the epoch, UTC."""

    model_config = ConfigDict(frozen=True)

    v: Literal[2] = 2
    batch_id: Annotated[str, Field(description="UUID, made from the content.")]
    batch_size: Annotated[int, Field(description="Events in the whole batch, over all its messages.")]
    first_index: Annotated[int, Field(description="The batch index of this message's first event.")] = 0
    key_id: str
    received_at: int
    sent_at: Annotated[int | None, Field(description="The client's clock beside the events.")] = None
    request: RequestInfo = RequestInfo()
    signal: Annotated[
        Literal["", "dnt", "gpc"], Field(description="What the browser says of all sites, where it is to be heard.")
    ] = ""
    ids: Annotated[dict[int, str], Field(description="Ids assigned, by batch index.")] = {}
    opaque: Annotated[dict[int, str], Field(description="Base64 of lines that are not text.")] = {}


class Envelope(BaseModel):
    """A read message: its header and the bytes of each event, in order."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    header: Header
    events: list[bytes]
    version: int = _ENVELOPE_VERSION


def is_text(line: bytes) -> bool:
    """Whether a line can travel as it is: UTF-8 without control characters."""
    if line.translate(None, _CONTROL) != line:
        return False
    try:
        return not _REFUSED & set(line.decode("utf-8")) if not line.isascii() else True
    except UnicodeDecodeError:
        return False


def pack(header: Header, events: Sequence[bytes]) -> bytes:
    """One message body: UTF-8 text, safe for every broker."""
    return b"\n".join([header.model_dump_json(exclude_defaults=True).encode(), *events])


def content_id(key_id: str, ids: Mapping[int, str], events: Sequence[bytes]) -> uuid.UUID:
    """The identity of a batch, from its content: equal for a resend of the same events, and only for that.

    Ids that collect had to make up are part of the content, so two requests without ids never look alike.
    RFC 9562 version 8 over the first 16 bytes of SHA-256.
    """
    digest = hashlib.sha256(key_id.encode())
    for index, assigned in ids.items():
        digest.update(b"\0%d:%s" % (index, assigned.encode()))
    digest.update(b"\n".join((b"", *events)))
    raw = bytearray(digest.digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(raw))


def unpack(body: bytes) -> Envelope:
    """Read a message of one batch; ``schemas.bundle.deliveries`` reads any.

    Raises :class:`EnvelopeError`, and :class:`NewerEnvelope`.
    """
    first, separator, rest = body.partition(b"\n")
    try:
        head = json.loads(first)
    except ValueError as error:
        raise EnvelopeError(f"Not an envelope: {type(error).__name__}.") from error
    if _is_newer(head):
        raise NewerEnvelope(f"The envelope is of version {head['v']}; this release reads up to {CURRENT_VERSION}.")
    try:
        if isinstance(head, dict) and head.get("v") == 1:
            return _upgrade_1(head)
        header = Header.model_validate(head)
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError) as error:
        raise EnvelopeError(f"Not an envelope: {type(error).__name__}.") from error
    events = lines_of(header, rest.split(b"\n") if separator else [])
    return Envelope.model_construct(header=header, events=events, version=_ENVELOPE_VERSION)


def lines_of(header: Header, lines: list[bytes]) -> list[bytes]:
    """The events' bytes, of which the opaque ones travel in the header."""
    for index, encoded in header.opaque.items():
        lines[index - header.first_index] = base64.b64decode(encoded)
    return lines


def _is_newer(head: Any) -> bool:
    """Whether that is the header of a later version. A batch id tells it from any other JSON with a ``v``."""
    version = head.get("v") if isinstance(head, dict) and "batch_id" in head else None
    return type(version) is int and version > CURRENT_VERSION


def _upgrade_1(old: dict[str, Any]) -> Envelope:
    events = [json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in old["events"]]
    header = Header(
        batch_id=old["batch_id"],
        batch_size=len(events),
        key_id=old.get("key_id", ""),
        received_at=old["received_at"],
        sent_at=old.get("sent_at"),
        request=RequestInfo(**old.get("request", {})),
        ids={int(index): value for index, value in old.get("ids", {}).items()},
    )
    return Envelope(header=header, events=events, version=1)
