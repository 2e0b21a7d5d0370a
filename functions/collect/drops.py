"""What is refused for its key before it is stored, told by a stable reason for whoever keeps account."""

from typing import Literal, Protocol

DropReason = Literal["rate", "share", "quota", "name", "consent"]


class Drops(Protocol):
    """Takes account of events that were counted and not taken."""

    def __call__(self, key_id: str, reason: DropReason, events: int, /) -> None:
        """So many events of a request, all for one reason."""
        ...
