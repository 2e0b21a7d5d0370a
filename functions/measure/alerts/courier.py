"""Tells what is to be told: by each route once, as far as it can be known; a route that is away holds up no other.

A telling is noted after it was sent. Who dies between the two sends the same again, under the same id.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from functions.measure.alerts.book import Book, Due, Entry
from functions.shared.domain.instants import SECOND
from functions.shared.domain.notification import Notification
from functions.shared.errors import SinkRefused, SinkUnavailable
from functions.shared.ports import AlertSink

# Beyond the time in which it is tried it is looked at for so long, to be noted as given up.
_AFTERWARDS_SECONDS = 86_400


class Courier:
    """``sinks`` by the names of their routes; ``deployment`` says in each message whose it is."""

    def __init__(
        self,
        book: Book,
        sinks: Mapping[str, AlertSink],
        clock: Callable[[], int],
        give_up_seconds: int,
        deployment: str,
    ) -> None:
        self._book, self._sinks, self._clock = book, sinks, clock
        self._give_up, self._deployment = give_up_seconds, deployment

    def tell(self, more: Callable[[], bool]) -> Counter[str]:
        """Send what is due, while there is time: how many were sent, failed, wait for another run, were given up."""
        counts: Counter[str] = Counter()
        if not self._sinks:
            return counts
        away: set[str] = set()
        since = self._clock() - (self._give_up + _AFTERWARDS_SECONDS) * SECOND
        for due in self._book.due(since, self._sinks):
            for route in self._open(due):
                if self._clock() - due.entry.changed_at > self._give_up * SECOND:
                    counts["alerts_given_up"] += self._let_go(due, route)
                elif route in away or not more():
                    counts["alerts_waiting"] += 1
                else:
                    counts[self._send(due, route, away)] += 1
        return counts

    def _open(self, due: Due) -> list[str]:
        wanted = due.entry.routes or self._sinks
        return [route for route in self._sinks if route in wanted and route not in due.settled]

    def _send(self, due: Due, route: str, away: set[str]) -> str:
        entry, tries = due.entry, due.tries.get(route, 0) + 1
        try:
            self._sinks[route].send(notification(entry, self._deployment))
        except (SinkUnavailable, SinkRefused) as error:
            if isinstance(error, SinkUnavailable):
                away.add(route)
            self._book.note(entry.change_id, route, "failed", tries, str(error))
            return "alerts_untold"
        self._book.note(entry.change_id, route, "sent", tries)
        return "alerts_sent"

    def _let_go(self, due: Due, route: str) -> bool:
        """Give up what was tried in vain; a route that has only been there since has nothing to give up."""
        tries = due.tries.get(route, 0)
        self._book.note(due.entry.change_id, route, "given_up", tries)
        return tries > 0


def notification(entry: Entry, deployment: str) -> Notification:
    """A change as it is told."""
    return Notification(
        entry.change_id, entry.alert_id, entry.event, entry.rule, entry.severity, entry.tags, entry.summary,
        entry.condition, entry.value, entry.fired_at, entry.changed_at, deployment,
    )  # fmt: skip
