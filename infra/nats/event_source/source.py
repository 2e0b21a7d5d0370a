"""The loop: some workers, each taking a batch and delivering it, until told to stop."""

import asyncio
import contextlib
from collections.abc import Sequence

from functions.shared.adapters.nats_names import NAMES, Names
from functions.shared.adapters.nats_pull import Taken
from functions.shared.errors import QueueUnavailable
from infra.nats.event_source.broker import Broker
from infra.nats.event_source.delivery import Delivery
from infra.nats.event_source.invoker import Invoker
from infra.nats.event_source.report import Counters, log
from infra.nats.event_source.settings import EventSourceSettings

_FIRST_WAIT_SECONDS = 5.0
_LATE_SECONDS = 0.1
_PAUSE_SECONDS = (0.25, 10.0)


class Pause:
    """Back-off shared by the workers: doubles with each failure, up to a bound, and ends with a success."""

    def __init__(self) -> None:
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """How long to wait now; 0 when all is well."""
        return self._seconds

    def longer(self) -> None:
        """It failed again."""
        shortest, longest = _PAUSE_SECONDS
        self._seconds = min(max(self._seconds * 2, shortest), longest)

    def over(self) -> None:
        """It works."""
        self._seconds = 0.0


class EventSource:
    """The event source mapping of one function."""

    def __init__(self, settings: EventSourceSettings, counters: Counters, names: Names = NAMES) -> None:
        self._settings = settings
        self._counters = counters
        self._broker = Broker(settings.nats_url, names)
        self._invoker = Invoker(settings)
        self._delivery = Delivery(settings, self._invoker.invoke, self._broker, counters, self._invoker.region)
        self._stop = asyncio.Event()
        # One pulls at a time, so that a small backlog becomes one batch and not one for each worker.
        self._pulling = asyncio.Lock()
        self._function_pause, self._broker_pause = Pause(), Pause()

    def stop(self) -> None:
        """Pull no more; :meth:`run` ends when what is in hand is settled."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped. Neither the broker's nor the function's absence ends it."""
        async with self._broker.beating():
            workers = [asyncio.create_task(self._work()) for _ in range(self._settings.event_source_concurrency)]
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopping, *workers], return_when=asyncio.FIRST_COMPLETED)
            await self._wind_down(workers)
            stopping.cancel()
        for worker in workers:
            if worker.done() and not worker.cancelled():
                worker.result()

    async def _wind_down(self, workers: list[asyncio.Task[None]]) -> None:
        self._stop.set()
        self._counters.state = "stopping"
        _, late = await asyncio.wait(workers, timeout=self._settings.event_source_stop_seconds)
        for worker in late:
            worker.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        given_back = self._broker.in_hand()
        await self._broker.give_back(given_back)
        await self._broker.close()
        self._invoker.close()
        log("stopped", given_back=len(given_back))

    async def _work(self) -> None:
        while not self._stop.is_set():
            if await self._paused(self._function_pause):
                continue
            try:
                batch = await self._stoppable_take()
            except QueueUnavailable as error:
                self._away(error)
                await self._paused(self._broker_pause)
                continue
            if batch:
                await self._deliver(batch)

    async def _deliver(self, batch: Sequence[Taken]) -> None:
        try:
            reached = await self._delivery.deliver(batch)
        except Exception as error:  # noqa: BLE001  the outermost loop: a fault of ours must neither end it nor keep messages
            log("fault", cause=repr(error))
            self._counters.last_error = repr(error)
            await self._broker.give_back(batch)
            reached = False
        if reached:
            self._function_pause.over()
        else:
            self._function_pause.longer()

    async def _stoppable_take(self) -> list[Taken]:
        settings = self._settings
        async with self._pulling:
            if self._stop.is_set():
                return []
            pull = asyncio.create_task(
                self._broker.take(
                    settings.event_source_batch_size,
                    settings.event_source_batch_bytes,
                    _FIRST_WAIT_SECONDS,
                    settings.event_source_window_seconds,
                )
            )
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait([pull, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not pull.done():
                # Where a first message came, the rest of its batch is here when the window ends.
                await asyncio.wait([pull], timeout=settings.event_source_window_seconds + _LATE_SECONDS)
            if not pull.done():
                pull.cancel()
                await asyncio.wait([pull])
                await self._broker.refuse_late()
                return []
            batch = pull.result()
        self._broker_pause.over()
        self._counters.state = "running"
        self._counters.pulled += len(batch)
        return batch

    async def _paused(self, pause: Pause) -> bool:
        """Wait out a pause, or until stopped. Whether there was one; a worker then tries again."""
        if not pause.seconds:
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause.seconds)
        return self._stop.is_set()

    def _away(self, error: QueueUnavailable) -> None:
        self._broker_pause.longer()
        self._counters.broker_failures += 1
        self._counters.last_error = error.detail
        if self._counters.state != "waiting for the broker":
            self._counters.state = "waiting for the broker"
            log("broker_away", cause=error.detail)
