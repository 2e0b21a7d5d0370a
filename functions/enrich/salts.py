"""The salt of a day, by which its visitors are told apart. All functions have the same."""

from typing import Protocol


class Salts(Protocol):
    """Where salts are kept."""

    def of(self, received_at: int) -> bytes:
        """The salt of the day in which an event was received, made where there is none; empty when it is gone.

        Raises :class:`~functions.shared.errors.StoreUnavailable`.
        """
        ...


class NoSalts:
    """For where visitors are as they were sent."""

    def of(self, received_at: int) -> bytes:  # noqa: ARG002  none is of any day
        """See the port."""
        return b""
