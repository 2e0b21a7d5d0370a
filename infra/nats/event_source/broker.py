"""Settling: what is said to NATS of each message, and the heartbeats while a message is in hand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable

from nats.aio.msg import Msg

from functions.shared.adapters.nats_dead import dead_letter
from functions.shared.adapters.nats_link import Ask, Link
from functions.shared.adapters.nats_names import NAMES, Names
from functions.shared.adapters.nats_pull import ACK, PROGRESS, Puller, Taken, nak
from functions.shared.errors import QueueUnavailable

_BEATS_PER_WAIT = 3
_ASK_SECONDS = 5.0


class Broker:
    """The broker as the event source uses it. What cannot be said is left: the message comes again by itself."""

    def __init__(self, url: str, names: Names = NAMES) -> None:
        self._names = names
        self._link = Link(url, "weir-event-source")
        self._puller = Puller(self._link, names)
        self._in_hand: dict[int, Taken] = {}
        self._ack_wait_seconds = 0.0

    async def take(self, limit: int, max_bytes: int, wait_seconds: float, window_seconds: float) -> list[Taken]:
        """Pull a batch; it is in hand until each message is settled. Raises :class:`QueueUnavailable`."""
        if not self._ack_wait_seconds:
            await self._learn_ack_wait()
        batch = await self._puller.take(limit, max_bytes, wait_seconds, window_seconds)
        self._in_hand |= {each.sequence: each for each in batch}
        return batch

    async def ack(self, taken: Taken) -> None:
        """Settled for good. Not confirmed: a lost ack means one more delivery, and enrich counts an event once."""
        await self._say(taken, ACK)

    async def later(self, taken: Taken, after_seconds: float) -> None:
        """Give the message back."""
        await self._say(taken, nak(after_seconds))

    async def bury(self, taken: Taken, attempts: int, cause: str) -> bool:
        """Store the dead letter durably, then let the original go. False when it could not be stored."""
        try:
            (answer,) = await self._link.ask([dead_letter(taken, self._names, attempts, cause)], _ASK_SECONDS)
        except QueueUnavailable:
            return False
        if not isinstance(answer, Msg) or "stream" not in json.loads(answer.data):
            return False
        await self._say(taken, ACK)
        return True

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """While inside, tell the broker in time that what is in hand is still worked on."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def give_back(self, batch: Iterable[Taken]) -> None:
        """Give back at once whatever of the batch is still in hand."""
        for each in batch:
            if each.sequence in self._in_hand:
                await self._say(each, nak(0))

    async def refuse_late(self) -> None:
        """End an abandoned pull, and give back at once what it still brought."""
        for each in await self._puller.abandon():
            await self._say(each, nak(0))

    def in_hand(self) -> list[Taken]:
        """The messages taken and not settled."""
        return list(self._in_hand.values())

    async def close(self) -> None:
        """Send what is buffered and close."""
        await self._link.close()

    async def _say(self, taken: Taken, verb: bytes) -> None:
        self._in_hand.pop(taken.sequence, None)
        with contextlib.suppress(QueueUnavailable):
            await self._link.send(taken.message.reply, verb)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(self._ack_wait_seconds, 1.0) / _BEATS_PER_WAIT)
            for each in self.in_hand():
                with contextlib.suppress(QueueUnavailable):
                    await self._link.send(each.message.reply, PROGRESS)

    async def _learn_ack_wait(self) -> None:
        subject = f"$JS.API.CONSUMER.INFO.{self._names.stream}.{self._names.consumer}"
        (answer,) = await self._link.ask([Ask(subject, b"")], _ASK_SECONDS)
        said = json.loads(answer.data) if isinstance(answer, Msg) else {}
        if "config" not in said:
            raise QueueUnavailable(f"The consumer {self._names.consumer} does not exist; was the topology created?")
        self._ack_wait_seconds = said["config"]["ack_wait"] / 1e9
