"""The event as a client sends it (the wire event), and the batch around it."""

from typing import Annotated, Any, Required

from pydantic import ConfigDict, Field, InstanceOf, StringConstraints
from typing_extensions import TypedDict

UUID_PATTERN = r"^(?:|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$"
# RFC 3339, with the offset optional (read as UTC, with a warning) and up to nine digits of a second kept.
# Not `\d`: that has the digits of all scripts.
TIMESTAMP_PATTERN = (
    r"^(?:|[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
    r"(?:\.[0-9]{1,18})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)$"
)

Uuid = Annotated[str, StringConstraints(strict=True, pattern=UUID_PATTERN)]
TimestampText = Annotated[str, StringConstraints(strict=True, pattern=TIMESTAMP_PATTERN)]
TimestampNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Identifier = Annotated[str, StringConstraints(strict=True, max_length=256)]


class WireEvent(TypedDict, total=False):
    """One event as sent. An optional field that is null or an empty string counts as absent."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    event_id: Annotated[Uuid | None, Field(description="The event's identity; assigned when absent.")]
    event_type: Required[
        Annotated[
            Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)],
            Field(description="page_view, click, identify, purchase, …"),
        ]
    ]
    event_name: Required[
        Annotated[
            Annotated[str, StringConstraints(strict=True, min_length=1, max_length=256)],
            Field(description="What happened, in the sender's words."),
        ]
    ]
    platform: Required[
        Annotated[
            Annotated[str, StringConstraints(strict=True, min_length=1, max_length=32)],
            Field(description="web, ios, android, server, …"),
        ]
    ]
    timestamp: Annotated[
        TimestampText | TimestampNumber | None,
        Field(description="RFC 3339, or epoch seconds, or epoch milliseconds from 1e11 up."),
    ]
    session_id: Annotated[Uuid | None, Field(description="The client's own session.")]
    user_id: Annotated[Identifier | None, Field(description="A UUID, or any other string.")]
    anonymous_id: Annotated[Identifier | None, Field(description="The device or browser before login.")]
    properties: Annotated[dict[str, Any] | None, Field(description="What the event says of itself.")]
    context: Annotated[dict[str, Any] | None, Field(description="Where it happened: ip, user_agent, page, consent, …")]
    sent_at: Annotated[TimestampText | TimestampNumber | None, Field(description="The client's clock on sending.")]


_Document = InstanceOf[dict[str, Any]] | None
# The same of an event that was read already: its documents are dictionaries, and are not copied to see that they are.
ReadEvent = TypedDict(
    "ReadEvent",
    {**WireEvent.__annotations__, "properties": _Document, "context": _Document},  # type: ignore[misc]
    total=False,
)
ReadEvent.__pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[attr-defined]


class WireBatch(TypedDict, total=False):
    """A batch as sent: events, and the client's clock when it sent them."""

    events: list[WireEvent]
    sent_at: TimestampText | TimestampNumber | None


REQUIRED = ("event_type", "event_name", "platform")
KNOWN = frozenset(WireEvent.__annotations__)
