"""What collect says of a message beside its events: whose they are, how many, and what it took no further.

It is read as an envelope without events by a release that knows no tallies, and changes nothing there.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

MARK = b'{"tally":'


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Of one message. ``received_at`` is nanoseconds since the epoch; ``dropped`` counts events by reason."""

    tally: Literal[1] = 1
    v: int = 2
    batch_size: int = 0
    batch_id: str
    key_id: str
    received_at: int
    first_index: int = 0
    events: int = 0
    host: str = ""
    request_id: str = ""
    dropped: Mapping[str, int] = {}


class TallyError(ValueError):
    """The text is no tally."""


_DECODER = msgspec.json.Decoder(Tally)


def text(tally: Tally) -> str:
    """One line of ASCII but for what a client chose, which is nothing here."""
    return msgspec.json.encode(tally).decode()


def read(told: str | bytes) -> Tally:
    """Raises :class:`TallyError`."""
    try:
        return _DECODER.decode(told)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise TallyError("It is no tally.") from error
