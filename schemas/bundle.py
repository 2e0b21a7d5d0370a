"""Version 3 of the queue envelope: what a replay brings again, in one message the events of many.

The first line says of which replay it is, and how many events each part has; a part is the header line of the envelope
that its events once came in, then its events as they were sent. So whatever a delivery is told by (batch and place,
receipt, key, the client's clock and address) is as it was, and enrichment takes it for the delivery it is.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas import patch
from schemas.envelope import BUNDLE_VERSION, Envelope, EnvelopeError, Header, NewerEnvelope, lines_of, unpack


class Again(NamedTuple):
    """Which replay brings an event, and how it is to be read. The higher generation of a delivery counts."""

    replay_id: str
    generation: int
    operations: Sequence[patch.Operation] = ()


class BundleHeader(BaseModel):
    """The first line of a version 3 envelope."""

    model_config = ConfigDict(frozen=True)

    v: Literal[3] = BUNDLE_VERSION
    batch_id: Annotated[str, Field(description="The replay's id.")]
    generation: Annotated[int, Field(ge=1)]
    patch: Annotated[str, Field(description="JSON of the operations, empty for none.")] = ""
    parts: Annotated[list[int], Field(description="How many events each part has.")]


class PartHeader(Header):
    """The header of a part: that of the events' envelope, and what was known of them, by batch index.

    ``first_processed``: nanoseconds; an event that is enriched anew keeps its lag. ``digests``: SHA-256 of what was
    sent, where what is left of it is redacted. ``given``: the ids that visitors of a day were given.
    """

    first_processed: dict[int, int] = Field(default_factory=dict)
    digests: dict[int, str] = Field(default_factory=dict)
    given: dict[int, str] = Field(default_factory=dict)


class Part(NamedTuple):
    """Events that follow each other in one envelope, behind the line of their :class:`PartHeader`.

    A line that is no text is empty, and opaque in the header.
    """

    header: bytes
    lines: Sequence[bytes]


class Delivered(NamedTuple):
    """An envelope as it reached enrichment. ``again`` is None for its first way through the queue."""

    envelope: Envelope
    again: Again | None = None


_HEADER = TypeAdapter(BundleHeader)
_PART = TypeAdapter(PartHeader)
_ANY = msgspec.json.Decoder()


def pack(again: Again, parts: Sequence[Part]) -> bytes:
    """One message body: UTF-8 text, safe for every broker."""
    header = BundleHeader(
        batch_id=again.replay_id,
        generation=again.generation,
        patch=patch.text(again.operations),
        parts=[len(part.lines) for part in parts],
    )
    lines = [header.model_dump_json().encode()]
    for part in parts:
        lines += [part.header, *part.lines]
    return b"\n".join(lines)


def deliveries(body: bytes) -> list[Delivered]:
    """What a message of any version holds. Raises :class:`EnvelopeError`, and :class:`NewerEnvelope`."""
    first, _, rest = body.partition(b"\n")
    if not _is_bundle(first):
        return [Delivered(unpack(body))]
    try:
        header = _HEADER.validate_json(first)
        again = Again(header.batch_id, header.generation, patch.read(header.patch) if header.patch else ())
        return _parts(header, again, rest)
    except ValueError as error:
        if isinstance(error, EnvelopeError | NewerEnvelope):
            raise
        raise EnvelopeError(f"Not an envelope: {type(error).__name__}.") from error


def _parts(header: BundleHeader, again: Again, rest: bytes) -> list[Delivered]:
    lines = rest.split(b"\n")
    if len(lines) != sum(header.parts) + len(header.parts):
        raise EnvelopeError("Not an envelope: it has another number of events than it says.")
    found, place = [], 0
    for count in header.parts:
        part = _PART.validate_json(lines[place])
        events = lines_of(part, lines[place + 1 : place + 1 + count])
        envelope = Envelope.model_construct(header=part, events=events, version=BUNDLE_VERSION)
        found.append(Delivered(envelope, again))
        place += 1 + count
    return found


def _is_bundle(first: bytes) -> bool:
    if not first.startswith(b'{"v":%d,' % BUNDLE_VERSION):
        return False
    try:
        head: Any = _ANY.decode(first)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(head, dict) and head.get("v") == BUNDLE_VERSION and "batch_id" in head
