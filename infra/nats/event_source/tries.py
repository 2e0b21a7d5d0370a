"""The memory of failed tries, by stream sequence.

NATS counts deliveries, and an outage of the function or a restart of this process makes deliveries without a try.
The count here goes up only when the function ran and failed. It is lost with the process: a poison message then gets
its tries anew, which is the harmless side to err on.
"""

from collections import OrderedDict
from dataclasses import dataclass

_REMEMBERED = 100_000


@dataclass
class Tries:
    """What is known of one message that failed."""

    count: int = 0
    batch_failed: bool = False
    alone: bool = False


class TryMemory:
    """Failed tries of the messages that may come again; the oldest are forgotten beyond a bound."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._known: OrderedDict[int, Tries] = OrderedDict()
        self._remembered = remembered

    def of(self, sequence: int) -> Tries:
        """What is known, without remembering anything new."""
        return self._known.get(sequence) or Tries()

    def mark(self, sequence: int) -> Tries:
        """What is known, to be changed."""
        tries = self._known.setdefault(sequence, Tries())
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return tries

    def forget(self, sequence: int) -> None:
        """The message is settled for good."""
        self._known.pop(sequence, None)
