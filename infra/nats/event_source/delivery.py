"""What becomes of a batch: invoke, judge, settle. All policy is here, and no input or output.

A failed batch comes again as a batch, once. When a batch fails that holds a message of a batch that had failed, its
messages are invoked one by one at once, and those that fail alone stay alone: a poison message costs its neighbours at
most one try.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from functions.shared.adapters.nats_pull import Taken
from infra.nats.event_source.outcomes import Answered, Failed, Lost, Outcome, Unreached
from infra.nats.event_source.records import Record, fitting, record
from infra.nats.event_source.report import Counters, log
from infra.nats.event_source.settings import EventSourceSettings
from infra.nats.event_source.tries import TryMemory


class Settler(Protocol):
    """What the delivery says of a message."""

    async def ack(self, taken: Taken) -> None:
        """It is done."""
        ...

    async def later(self, taken: Taken, after_seconds: float) -> None:
        """It comes again."""
        ...

    async def bury(self, taken: Taken, attempts: int, cause: str) -> bool:
        """It is a dead letter; False when that could not be made durable."""
        ...


Invoke = Callable[[Sequence[Record]], Awaitable[Outcome]]


class Delivery:
    """Delivers batches. Safe to use for several batches at once on one event loop."""

    def __init__(
        self, settings: EventSourceSettings, invoke: Invoke, settler: Settler, counters: Counters, region: str
    ) -> None:
        self._settings = settings
        self._invoke = invoke
        self._settler = settler
        self._counters = counters
        self._region = region
        self._tries = TryMemory()

    async def deliver(self, batch: Sequence[Taken]) -> bool:
        """Settle every message of the batch. False when the function could not be reached: pull no more for a while."""
        records = [record(each, self._tries.of(each.sequence).count + 1, self._region) for each in batch]
        for each in records:
            if each.unfit:
                await self._bury(each, 0, each.unfit)
        fit = [each for each in records if not each.unfit]
        together = [each for each in fit if not self._tries.of(each.taken.sequence).alone]
        groups = [*fitting(together), *([each] for each in fit if self._tries.of(each.taken.sequence).alone)]
        return await self._each(groups, self._together)

    async def _each(self, groups: Sequence[list[Record]], step: Callable[[list[Record]], Awaitable[bool]]) -> bool:
        """One group after the other; once the function is out of reach the rest is given back untried."""
        reached = True
        for group in groups:
            if reached:
                reached = await step(group)
            else:
                await self._give_back(group)
        return reached

    async def _together(self, group: list[Record]) -> bool:
        outcome = await self._timed(group)
        if isinstance(outcome, Failed | Lost) and len(group) > 1 and self._failed_before(group):
            return await self._each([[each] for each in group], self._alone)
        return await self._settle(group, outcome)

    async def _alone(self, group: list[Record]) -> bool:
        outcome = await self._timed(group)
        if isinstance(outcome, Failed | Lost) or (isinstance(outcome, Answered) and outcome.again):
            self._tries.mark(group[0].taken.sequence).alone = True
        return await self._settle(group, outcome)

    def _failed_before(self, group: list[Record]) -> bool:
        return any(self._tries.of(each.taken.sequence).batch_failed for each in group)

    async def _settle(self, group: list[Record], outcome: Outcome) -> bool:
        if isinstance(outcome, Unreached):
            await self._give_back(group)
            return False
        for each in group:
            if isinstance(outcome, Answered):
                await self._judged(each, outcome)
                continue
            self._tries.mark(each.taken.sequence).batch_failed = True
            if isinstance(outcome, Failed):
                await self._failed(each, outcome.cause)
            else:
                await self._later(each, self._settings.backoff_seconds(1))
        return True

    async def _judged(self, each: Record, outcome: Answered) -> None:
        cause = outcome.again.get(each.id)
        if cause is not None:
            await self._failed(each, cause)
            return
        self._tries.forget(each.taken.sequence)
        await self._settler.ack(each.taken)
        self._counters.acked += 1
        self._counters.last_success_at = time.time()

    async def _failed(self, each: Record, cause: str) -> None:
        tries = self._tries.mark(each.taken.sequence)
        tries.count += 1
        if tries.count >= self._settings.event_source_max_attempts:
            await self._bury(each, tries.count, cause)
        else:
            await self._later(each, self._settings.backoff_seconds(tries.count))

    async def _bury(self, each: Record, attempts: int, cause: str) -> None:
        if await self._settler.bury(each.taken, attempts, cause):
            self._tries.forget(each.taken.sequence)
            self._counters.dead_lettered += 1
            log("dead_letter", id=each.id, attempts=attempts, cause=cause[:1000])
        else:
            await self._later(each, self._settings.backoff_seconds(attempts))

    async def _give_back(self, group: list[Record]) -> None:
        for each in group:
            await self._later(each, self._settings.backoff_seconds(1))

    async def _later(self, each: Record, after_seconds: float) -> None:
        await self._settler.later(each.taken, after_seconds)
        self._counters.retried += 1

    async def _timed(self, group: list[Record]) -> Outcome:
        started = time.perf_counter()
        self._counters.in_flight += len(group)
        try:
            outcome = await self._invoke(group)
        finally:
            self._counters.in_flight -= len(group)
        self._count(group, outcome, (time.perf_counter() - started) * 1000)
        return outcome

    def _count(self, group: list[Record], outcome: Outcome, ms: float) -> None:
        counters = self._counters
        size = sum(each.taken.size for each in group)
        counters.invocations += 1
        counters.messages += len(group)
        counters.bytes += size
        cause = "" if isinstance(outcome, Answered) else outcome.cause
        counters.function_failures += isinstance(outcome, Failed)
        counters.function_unreached += isinstance(outcome, Unreached | Lost)
        counters.last_error = cause or counters.last_error
        failures = len(outcome.again) if isinstance(outcome, Answered) else len(group)
        attempt = max(self._tries.of(each.taken.sequence).count + 1 for each in group)
        log(
            "invocation",
            messages=len(group),
            bytes=size,
            ms=round(ms, 1),
            failures=failures,
            attempt=attempt,
            outcome=type(outcome).__name__.lower(),
            **({"cause": cause[:300]} if cause else {}),
        )
