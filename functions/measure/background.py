"""Work that goes on in threads beside the stitching: the store has more than one core, and the series store waits."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

from functions.measure.following import Beside, Followed, More
from functions.shared.errors import StoreUnavailable


class Background:
    """A thread for each piece of work. Leaving the context waits for all of them."""

    def __init__(self, pieces: Mapping[str, Beside], more: More) -> None:
        self._pieces, self._more = pieces, more
        self._pool = ThreadPoolExecutor(max(1, len(pieces)), thread_name_prefix="beside")
        self._running: dict[str, Future[Followed]] = {}
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> "Background":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, *names: str) -> None:
        """Begin those of them that are not at work."""
        for name in names:
            running = self._running.get(name)
            if running is None or running.done():
                self._settle(name)
                self._running[name] = self._pool.submit(self._pieces[name](self._more))

    def finish(self) -> None:
        """Wait for all."""
        for name in list(self._running):
            self._settle(name)

    def _settle(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is not None:
            # What failed is tried again after the stitching, which tells of it then.
            with suppress(StoreUnavailable):
                self.counts.update(running.result().counts)
