"""What operators ask of replays: make one, try one out, watch it, stop it, and let it go on."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from functions.measure.replays import listing, sources
from functions.measure.replays.book import Book, Replay, told
from functions.measure.replays.collecting import Letters
from functions.measure.replays.repacking import Item
from functions.measure.replays.request import Request, checked
from schemas import patch, salvage
from schemas.faults import Fault
from schemas.validation import Validator

SAMPLE = 10
_SHOWN_BYTES = 256 * 1024


class Page(NamedTuple):
    """Some replays as they are shown, and whether there are more."""

    replays: list[dict[str, Any]]
    more: bool


class ReplayService:
    """The replays of a store. ``new_validator`` makes the judge of a dry run, on first use."""

    def __init__(self, database: Letters, book: Book, new_validator: Callable[[], Validator]) -> None:
        self._database, self._book, self._new_validator = database, book, new_validator

    def create(self, request: Request) -> dict[str, Any]:
        """Make a replay, which the next run of the batches begins. Raises :class:`BadRequest`."""
        generation = self._book.generation()
        matched = sources.events(self._database, checked(request), generation).count()
        return self._told(self._book.create(request, generation, matched))

    def preview(self, request: Request, sample: int = SAMPLE) -> dict[str, Any]:
        """What a replay would do: how many events match, and what would become of the first of them.

        Nothing is written. Raises :class:`BadRequest`.
        """
        events = sources.events(self._database, checked(request), self._book.generation())
        validator = self._new_validator()
        shown: list[dict[str, Any]] = []
        size = 0
        for item in events.page("", sample).items:
            size += len(item.line)
            if shown and size > _SHOWN_BYTES:
                break
            shown.append(judged(item, request.patch, validator))
        return {"dry_run": True, "matched": events.count(), "sample": shown}

    def letters(self, *asked: Any) -> Iterator[tuple[listing.Place, dict[str, Any]]]:
        """Dead letters, the newest first (``listing.letters``)."""
        return listing.letters(self._database, *asked)

    def get(self, replay_id: str) -> dict[str, Any]:
        """One replay. Raises :class:`NotFound`."""
        return self._told(self._book.get(replay_id))

    def page(self, limit: int, before: int | None = None) -> Page:
        """The newest first, of those made before a generation."""
        found = self._book.newest(limit + 1, before)
        return Page([self._told(replay) for replay in found[:limit]], len(found) > limit)

    def stop(self, replay_id: str) -> dict[str, Any]:
        """Send no more of it. What is on its way arrives. Raises :class:`NotFound`."""
        return self._told(self._book.want(replay_id, stop=True))

    def resume(self, replay_id: str) -> dict[str, Any]:
        """Go on from where it stopped. Raises :class:`NotFound`."""
        return self._told(self._book.want(replay_id, stop=False))

    def _told(self, replay: Replay) -> dict[str, Any]:
        return told(replay, self._book.outcome(replay))


def judged(item: Item, operations: Sequence[patch.Operation], validator: Validator) -> dict[str, Any]:
    """What would become of an event: its text before and after, and the faults that it would fail by."""
    whole = [*(patch.read(item.before) if item.before else ()), *operations]
    faults: Sequence[Fault]
    try:
        line = patch.apply(whole, item.line)
        faults = validator.check([line]).faults.get(0, ())
    except patch.PatchError as error:
        line, faults = item.line, [Fault("patch_refused", (), str(error))]
    before, after = salvage.storable(item.line), salvage.storable(line)
    return {
        "event_id": item.event_id,
        "before": before[0],
        "after": after[0],
        "encoding": after[1] or None,
        "changed": before != after,
        "would": "fail" if faults else "be stored",
        "errors": [{"loc": list(fault.loc), "code": fault.code, "message": fault.message} for fault in faults],
    }


def operations(given: Any) -> Sequence[patch.Operation]:
    """A patch from its JSON. Raises :class:`~schemas.patch.PatchError`."""
    return patch.read(msgspec.json.encode(given))
