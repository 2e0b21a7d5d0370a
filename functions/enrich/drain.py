"""The drain: takes what waits in the queue and enriches it, until nothing waits or the time is over.

What a broker's event source does between queue and function, for a broker that has none. Tries are counted here and
not by the broker, for which an outage of the store looks like one; the count lives as long as the process.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from functions.enrich.service import EnrichService, Incoming
from functions.shared.errors import Retry
from functions.shared.ports import Queue, Received

# A block that is worth an insert; the queue bounds its bytes.
MESSAGES = 100
_WAIT_SECONDS = 0.5
_AGAIN_SECONDS = 30.0


class Drained(NamedTuple):
    """What a run did. ``state``: ``empty`` (nothing waits), ``left`` (out of time), ``failed`` (see ``detail``)."""

    state: str
    counts: dict[str, int]
    detail: str = ""


class Drain:
    """Runs over one queue, one run at a time."""

    def __init__(
        self,
        queue: Queue,
        service: EnrichService,
        clock: Callable[[], float],
        report: Callable[[str, Exception], None],
    ) -> None:
        self._queue = queue
        self._service = service
        self._clock = clock
        self._report = report
        self._tries: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def run(self, seconds: float) -> Drained:
        """Work until nothing waits, but begin no block after so many seconds."""
        self._counts = Counter(events=0, dead_letters=0)
        until = self._clock() + seconds
        try:
            while self._clock() < until:
                batch = self._queue.receive(MESSAGES, _WAIT_SECONDS)
                if not batch:
                    return Drained("empty", dict(self._counts))
                self._deliver(batch)
        except Retry as error:
            # What is in hand comes again by itself; the next run finds the store or the broker back.
            return Drained("failed", dict(self._counts), error.detail)
        return Drained("left", dict(self._counts))

    def _deliver(self, batch: Sequence[Received]) -> None:
        """One block. When it fails as a whole its messages are tried one by one: a bad one costs no neighbour."""
        try:
            done = self._service.handle([Incoming(each.id, each.body, each.queued_at, each.attempt) for each in batch])
        except Retry:
            raise
        except Exception as error:  # noqa: BLE001  the loop of a block: whatever it was, the queue keeps what failed
            self._report(f"a block of {len(batch)} messages", error)
            if len(batch) > 1:
                for each in batch:
                    self._deliver([each])
            else:
                self._failed(batch[0], type(error).__name__)
            return
        self._counts.update(done.counts)
        for each in batch:
            if each.id in done.again:
                self._failed(each, done.again[each.id])
            else:
                self._queue.ack(each)
                self._tries.pop(each.id, None)

    def _failed(self, each: Received, cause: str) -> None:
        self._tries[each.id] += 1
        # The queue makes a dead letter of what was tried as often as it allows.
        buried = self._queue.retry(each._replace(attempt=self._tries[each.id]), _AGAIN_SECONDS, cause)
        self._counts["dead_letters"] += buried
        if buried:
            del self._tries[each.id]
