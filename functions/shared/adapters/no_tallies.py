"""Where no tallies wait apart from the events they are about."""


class NoTallies:
    """Implements :class:`~functions.shared.ports.Tallies`."""

    def take(self, _limit: int) -> list[str]:
        """See the port."""
        return []

    def done(self) -> None:
        """See the port."""
