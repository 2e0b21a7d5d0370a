"""Replays name people as well: what was asked of them is kept word for word, their patches among it.

Of one that names the person only what it was made of stays, and what came of it. One that is not at its end is ended:
without its patch and its filter it would bring all there is as it was.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from functions.measure.database import Database, some
from functions.measure.erasing.people import Subject
from functions.measure.lease import Lease
from functions.measure.replays.book import Book, Replay
from functions.shared.domain import ids
from functions.shared.errors import StoreUnavailable

_WAIT_SECONDS = 60.0


class ReplayRequests:
    """What replays were asked for. ``new_lease`` is of the turn to do them."""

    def __init__(self, database: Database, book: Book, new_lease: Callable[[], Lease]) -> None:
        self._database, self._book, self._new_lease = database, book, new_lease

    def naming(self, subjects: Sequence[Subject]) -> list[str]:
        """The replays that name the person, by their ids."""
        rows = self._database.rows(_READ, {})
        return sorted({replay_id for replay_id, request in rows if names(request, subjects)})

    def forget(self, replay_ids: Sequence[str]) -> None:
        """Leave nothing of what these were asked for. Safe to repeat.

        Raises :class:`StoreUnavailable` where replays are at work and do not come to a stop in time.
        """
        unended = [one for one in map(self._book.get, replay_ids) if not one.progress.ended]
        if unended:
            self._end(unended)
        for some_ids in some(replay_ids):
            self._database.run(_FORGET, {"ids": some_ids})

    def _end(self, replays: Sequence[Replay]) -> None:
        for replay in replays:
            self._book.want(replay.replay_id, stop=True)
        lease = self._new_lease()
        if not lease.acquire(_WAIT_SECONDS):
            raise StoreUnavailable("Replays are at work; one of them names the person, and is to stop before.")
        try:
            # As they stand now that nobody is at them. What was about to be sent is for another replay to find.
            for replay in map(self._book.get, [one.replay_id for one in replays]):
                self._book.note(replay, replay.progress._replace(ended=True, until="", planned=0))
        finally:
            lease.release()


def names(request: str, subjects: Iterable[Subject]) -> bool:
    """Whether a request names the person: by a user's id in any form, by a device, or by a text of theirs."""
    known = list(subjects)
    users = {one.name for one in known if one.kind == "user"}
    texts = {one.name for one in known if one.kind == "text"}
    others = {one.name.removeprefix("a:") for one in known} - users - texts
    return any(
        word in others or ids.user(word) in users or any(text in word for text in texts)
        for word in _words(_asked(msgspec.json.decode(request)))
    )


def _asked(request: dict[str, Any]) -> list[Any]:
    """What of a request is not the words of ours."""
    operations = [value for one in request.get("patch", ()) for name, value in one.items() if name != "op"]
    return [*operations, *request.get("filter", {}).values()]


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from _words(one)
    else:
        # As paths have it, a dot inside a name is escaped.
        yield str(value).replace("\\.", ".")


_READ = "SELECT toString(replay_id), request FROM replays"
_FORGET = """ALTER TABLE replays UPDATE request = concat('{"source":"', JSONExtractString(request, 'source'), '"}')
WHERE replay_id IN {ids:Array(UUID)} SETTINGS mutations_sync = 2"""
