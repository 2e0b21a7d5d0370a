"""What is to be replayed, and how. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from functions.shared.errors import BadRequest
from schemas.patch import Operation, PatchError, check

Source = Literal["dead", "failed", "stored"]
SOURCES: tuple[Source, ...] = ("dead", "failed", "stored")
MAX_VALUES = 1_000
MAX_CHARACTERS = 1_000


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which events: all that is said must hold, of several values any. Times are nanoseconds, half-open.

    They are of the receipt for dead letters, else of the event's timestamp. ``cause`` is a part of why it failed.
    """

    since: int | None = None
    until: int | None = None
    cause: str = ""
    event_names: Sequence[str] = ()
    key_ids: Sequence[str] = ()
    event_ids: Sequence[str] = ()


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """A replay as it is asked for. ``rate``: events a second, 0 for as fast as it goes."""

    source: Source
    filter: Filter = Filter()
    patch: Sequence[Operation] = ()
    rate: int = 0


_REQUEST = msgspec.json.Decoder(Request)


def checked(request: Request) -> Request:
    """The request. Raises :class:`BadRequest` naming what cannot be done."""
    try:
        check(request.patch)
    except PatchError as error:
        raise bad("patch", str(error)) from error
    which = request.filter
    if which.since is not None and which.until is not None and which.since >= which.until:
        raise bad("filter.from", "must be before filter.to.")
    if request.source == "stored" and which.cause:
        raise bad("filter.cause", "says nothing of what was stored: that has not failed.")
    if request.source == "stored" and not (which.event_ids or (which.since is not None and which.until is not None)):
        raise bad("filter", "of what is stored says from and to, or event_ids: else all would be enriched anew.")
    for name in ("event_names", "key_ids", "event_ids"):
        values = getattr(which, name)
        if len(values) > MAX_VALUES or any(len(value) > MAX_CHARACTERS for value in values):
            raise bad(f"filter.{name}", f"may have {MAX_VALUES} values of {MAX_CHARACTERS} characters.")
    if len(which.cause) > MAX_CHARACTERS:
        raise bad("filter.cause", f"may have {MAX_CHARACTERS} characters.")
    return request


def to_text(request: Request) -> str:
    """As it is kept."""
    return msgspec.json.encode(request).decode()


def from_text(text: str) -> Request:
    """As it was kept."""
    return _REQUEST.decode(text)


def bad(name: str, message: str, code: str = "bad_parameter") -> BadRequest:
    """A refusal that names the field."""
    loc = ["body", *name.split(".")]
    return BadRequest(code, f"{name}: {message}", [{"loc": loc, "code": code, "message": message}])
