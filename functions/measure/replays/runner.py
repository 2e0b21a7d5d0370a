"""Does replays, step by step: a page of events to the queue, and then the position. A step may be done again.

Of two runners one has the turn. What a dead runner sent and did not note is sent again: the broker knows the message by
its content for a while, and enrichment knows the delivery for ever.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from functions.measure.lease import Lease
from functions.measure.replays import settling, sources
from functions.measure.replays.book import Book, Replay
from functions.measure.replays.collecting import Letters
from functions.measure.replays.repacking import messages
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import Message, Queue
from schemas.bundle import Again

EVENTS_A_PAGE = 20_000
# So many messages may wait in the queue, of whomever: what comes in meanwhile is not to wait for a replay.
WAITING_MESSAGES = 50
_CALL_BYTES = 4 * 1024 * 1024
_SETTLE_SECONDS = 10.0
_POLL_SECONDS = 0.1
_TRIES = 3

More = Callable[[], bool]


class Clock(NamedTuple):
    """Time, in seconds: ``now`` never goes back."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


class Runner:
    """Does what replays there are. ``watch`` is told of each as it goes on."""

    def __init__(
        self,
        database: Letters,
        book: Book,
        queue: Queue,
        new_lease: Callable[[], Lease],
        clock: Clock,
        watch: Callable[[Replay], None] = lambda _: None,
    ) -> None:
        self._database, self._book, self._queue = database, book, queue
        self._new_lease, self._clock, self._watch = new_lease, clock, watch
        self._settled_at = 0.0

    def run(self, more: More, replay_id: str = "", wait_seconds: float = 0.0) -> dict[str, int]:
        """Work while there is ``more`` time, on one replay or on all; what was done. None when another is at it.

        Raises :class:`~functions.shared.errors.Retry` when an engine is away: the next run goes on.
        """
        at_work = self._at_work(replay_id)
        counts = Counter(replays=len(at_work), sent=0)
        if not at_work:
            return dict(counts)
        lease = self._new_lease()
        if not lease.acquire(wait_seconds):
            return {"busy": 1}
        try:
            for replay in at_work:
                counts["sent"] += self._replay(replay, more, lease)
        finally:
            lease.release()
        return dict(counts)

    def _at_work(self, replay_id: str) -> list[Replay]:
        found = [self._book.get(replay_id)] if replay_id else list(reversed(self._book.newest()))
        return [replay for replay in found if replay.at_work]

    def _replay(self, replay: Replay, more: More, lease: Lease) -> int:
        events = sources.events(self._database, replay.request, replay.generation)
        before, began = replay.progress.sent, self._clock.now()
        while more() and not replay.progress.ended:
            if self._book.get(replay.replay_id).stopped:
                break
            lease.check()
            replay = self._step(replay, events)
            self._settle(replay)
            self._watch(replay)
            self._pace(replay.request.rate, replay.progress.sent - before, began, more)
        if replay.progress.ended or not more():
            self._finish(replay)
        return replay.progress.sent - before

    def _step(self, replay: Replay, events: sources.Events) -> Replay:
        """A page: noted, sent, noted again. What of it has arrived by now, another sent."""
        progress, rate = replay.progress, replay.request.rate
        page = events.page(progress.position, min(EVENTS_A_PAGE, rate or EVENTS_A_PAGE), progress.until)
        if not progress.until:
            if not page.items:
                return self._book.note(replay, progress._replace(ended=True))
            planned = progress.sent + len(page.items)
            replay = self._book.note(replay, progress._replace(until=page.position, planned=planned))
        progress = replay.progress
        events.in_hand(progress.position, progress.until)
        again = Again(replay.replay_id, replay.generation, replay.request.patch)
        self._send(list(messages(again, page.items, self._queue.max_message_bytes)))
        sent = progress._replace(position=progress.until, sent=progress.planned, until="", planned=0)
        return self._book.note(replay, sent)

    def _send(self, waiting: list[Message]) -> None:
        """Queue all of them, some at a time, and no faster than they are taken."""
        while waiting:
            self._await_room()
            call: list[Message] = []
            size = 0
            while waiting and (not call or size + len(waiting[0].body) <= _CALL_BYTES):
                size += len(waiting[0].body)
                call.append(waiting.pop(0))
            self._publish(call)

    def _publish(self, call: list[Message]) -> None:
        left, detail = call, ""
        for _ in range(_TRIES):
            said = self._queue.publish(left)
            detail = next((one.error for one in said if one.error), "")
            left = [message for message, one in zip(left, said, strict=True) if one.error]
            if not left:
                return
        raise QueueUnavailable(detail)

    def _await_room(self) -> None:
        while self._queue.depth().ready > WAITING_MESSAGES:
            self._clock.sleep(_POLL_SECONDS)

    def _pace(self, rate: int, sent: int, began: float, more: More) -> None:
        while rate and more() and (early := sent / rate - (self._clock.now() - began)) > 0:
            self._clock.sleep(min(early, _POLL_SECONDS))

    def _settle(self, replay: Replay) -> None:
        """Now and then: it looks at all letters in hand."""
        if replay.request.source == "dead" and self._clock.now() - self._settled_at > _SETTLE_SECONDS:
            settling.settle(self._database, replay.generation)
            self._settled_at = self._clock.now()

    def _finish(self, replay: Replay) -> None:
        """Look what came of it. Once nothing is on its way any more, keep that."""
        if replay.request.source == "dead":
            settling.settle(self._database, replay.generation)
        if not replay.progress.ended:
            return
        outcome = self._book.outcome(replay)
        if sum(outcome) < replay.progress.sent:
            return
        if replay.request.source == "dead":
            settling.settle_rest(self._database, replay.generation)
        self._watch(self._book.note(replay, replay.progress._replace(settled=True, outcome=tuple(outcome))))
