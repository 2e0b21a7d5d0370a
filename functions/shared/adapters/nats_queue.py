"""The queue on NATS JetStream, for synchronous callers inside Lambda.

The adapter owns an event loop that runs only during a call. One message is one publish over a standing inbox;
the call returns when JetStream acknowledged each (``PubAck``: on disk) or the deadline passed.
"""

import asyncio
import json
import threading
import time
import weakref
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from nats.aio.msg import Msg

from functions.shared.adapters.nats_dead import dead_letter
from functions.shared.adapters.nats_link import Answer, Ask, Link, end
from functions.shared.adapters.nats_names import MESSAGE_ID, NAMES, TALLY, Names
from functions.shared.adapters.nats_pull import ACK, Puller, Taken, nak
from functions.shared.domain import instants
from functions.shared.errors import QueueUnavailable, TooLarge
from functions.shared.ports import Backlog, Depth, Message, Published, Received
from functions.shared.settings import QueueSettings

# Room for Weir's own headers, those of a dead letter included: the server counts them as payload.
HEADER_BYTES = 4096
# A Lambda invocation takes 6 MiB of JSON, and JSON escaping can double a body: nothing bigger could ever be enriched.
INVOCATION_BYTES = (6 * 1024 * 1024 - 128 * 1024) // 2
# NATS' own default: what is assumed until a server said otherwise.
_USUAL_PAYLOAD_BYTES = 1024 * 1024
_ROUNDS = 2
_LATE = "NATS did not acknowledge in time."
_GATHER_SECONDS = 0.02
# What a function has room for, a hundred times over when it is read into events.
_TAKE_BYTES = 4 * 1024 * 1024
_LOOK_SECONDS = 0.5
_PING_SECONDS = 86_400
_TRUST_SECONDS = 20.0

T = TypeVar("T")


class NatsQueue:
    """Implements :class:`~functions.shared.ports.Queue`. Thread-safe: calls take turns."""

    def __init__(self, settings: QueueSettings, max_attempts: int = 5, names: Names = NAMES) -> None:
        self._limit = min(settings.max_message_bytes, INVOCATION_BYTES)
        self._seconds = settings.publish_timeout_seconds
        self._max_attempts = max_attempts
        self._names = names
        self._loop = asyncio.new_event_loop()
        # No pings: nobody would read the answers between calls. A stale connection shows when it is used.
        self._link = Link(settings.nats_url, "weir", _PING_SECONDS, _TRUST_SECONDS)
        # A command that ends would else complain of the client's tasks.
        self._end = weakref.finalize(self, end, self._loop, self._link)
        self._puller = Puller(self._link, names)
        self._turn = threading.Lock()
        self._payload_bytes = 0

    @property
    def max_message_bytes(self) -> int:
        """The setting, the server's limit less the headers, and what fits an invocation: the smallest."""
        if not self._payload_bytes:
            self._learn_payload()
        return min(self._limit, (self._payload_bytes or _USUAL_PAYLOAD_BYTES) - HEADER_BYTES)

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """See the port. A message over the limit raises :class:`TooLarge` before any is sent."""
        if not messages:
            return []
        limit = self.max_message_bytes
        for message in messages:
            if len(message.body) > limit:
                raise TooLarge("message_too_large", f"A queue message may have {limit} bytes.")
        return self._run(self._publish(messages))

    def note(self, message: Message) -> None:
        """See the port."""
        noted = _puback(self._run(self._asked(Ask(self._names.ledger_subject, b"", _headers(message)))), False)
        if noted.error:
            raise QueueUnavailable(f"The tally was not stored: {noted.error}")

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """See the port. ``queued_at`` is in nanoseconds since the epoch."""
        found = self._run(self._puller.take(limit, _TAKE_BYTES, wait_seconds, _GATHER_SECONDS), wait_seconds)
        return [self._received(each) for each in found]

    def ack(self, received: Received) -> None:
        """See the port. Waits until the broker noted it; raises :class:`QueueUnavailable` when it may not have."""
        self._run(self._asked(Ask(received.handle.message.reply, ACK)))

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """See the port. The dead letter is durable before the original is let go."""
        taken: Taken = received.handle
        if received.attempt < self._max_attempts:
            self._run(self._asked(Ask(taken.message.reply, nak(after_seconds))))
            return False
        self._run(self._bury(taken, received.attempt, cause))
        return True

    def depth(self) -> Depth:
        """See the port. A message that waits for its retry counts as in flight."""
        return self._run(self._depth())

    def backlog(self) -> Backlog:
        """See the port."""
        # In half a second or not at all, so that a publish that follows stays within three together.
        state = self._run(self._info(f"STREAM.INFO.{self._names.stream}", _LOOK_SECONDS))["state"]
        return Backlog(state["messages"], state["bytes"])

    def oldest_at(self) -> int | None:
        """See the port."""
        return self._run(self._oldest_at())

    def close(self) -> None:
        """Close the connection and the event loop."""
        with self._turn:
            self._end()

    def _received(self, taken: Taken) -> Received:
        identity = f"{self._names.stream}:{taken.sequence}"
        return Received(taken.message.data, taken.deliveries, taken.queued_at, taken, identity)

    def _run(self, work: Coroutine[Any, Any, T], more_seconds: float = 0.0) -> T:
        if not self._turn.acquire(timeout=self._seconds + more_seconds):
            work.close()
            raise QueueUnavailable("The queue is busy with other calls.")
        try:
            return self._loop.run_until_complete(work)
        finally:
            self._payload_bytes = self._link.max_payload_bytes or self._payload_bytes
            self._turn.release()

    def _learn_payload(self) -> None:
        try:
            # Half a second, so that this and the publish that follows stay within three together.
            self._run(self._link.within(0.5))
        except QueueUnavailable:
            return

    async def _publish(self, messages: Sequence[Message]) -> list[Published]:
        answers, resent = await self._ask([Ask(self._names.subject, each.body, _headers(each)) for each in messages])
        results = [_puback(answer, again) for answer, again in zip(answers, resent, strict=True)]
        if all(result.error for result in results):
            raise QueueUnavailable(results[0].error)
        return results

    async def _ask(self, asks: Sequence[Ask], seconds: float | None = None) -> tuple[list[Answer | None], list[bool]]:
        """The answers, and which requests were sent more than once: on a new connection when the old one broke."""
        until = time.monotonic() + (self._seconds if seconds is None else seconds)
        answers: list[Answer | None] = [None] * len(asks)
        resent = [False] * len(asks)
        for _ in range(_ROUNDS):
            missing = [index for index, answer in enumerate(answers) if answer is None]
            left = until - time.monotonic()
            if not missing or left <= 0:
                break
            for index, answer in zip(missing, await self._once([asks[index] for index in missing], left), strict=True):
                answers[index] = answer
                resent[index] |= answer is None
        return answers, resent

    async def _once(self, asks: Sequence[Ask], seconds: float) -> Sequence[Answer | None]:
        try:
            return await self._link.ask(asks, seconds)
        except QueueUnavailable as error:
            return [error] * len(asks)

    async def _asked(self, ask: Ask, seconds: float | None = None) -> Msg:
        ((answer,), _) = await self._ask([ask], seconds)
        if isinstance(answer, Msg):
            return answer
        raise answer or QueueUnavailable(_LATE)

    async def _bury(self, taken: Taken, attempts: int, cause: str) -> None:
        answer = await self._asked(dead_letter(taken, self._names, attempts, cause))
        stored = _puback(answer, False)
        if stored.error:
            raise QueueUnavailable(f"The dead letter was not stored: {stored.error}")
        await self._asked(Ask(taken.message.reply, ACK))

    async def _depth(self) -> Depth:
        names = self._names
        consumer = await self._info(f"CONSUMER.INFO.{names.stream}.{names.consumer}")
        dead = await self._info(f"STREAM.INFO.{names.dead_stream}")
        return Depth(consumer["num_pending"], consumer["num_ack_pending"], dead["state"]["messages"])

    async def _oldest_at(self) -> int:
        # A message that is settled leaves the stream: its first one is the oldest that is not.
        state = (await self._info(f"STREAM.INFO.{self._names.stream}"))["state"]
        return instants.from_text(state["first_ts"]) if state["messages"] else 0

    async def _info(self, what: str, seconds: float | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((await self._asked(Ask(f"$JS.API.{what}", b""), seconds)).data)
        if "error" in answer:
            raise QueueUnavailable(f"NATS: {answer['error'].get('description', 'unknown error')}")
        return answer


def _headers(message: Message) -> dict[str, str]:
    return {MESSAGE_ID: message.id, TALLY: message.tally} if message.tally else {MESSAGE_ID: message.id}


def _puback(answer: Answer | None, resent: bool) -> Published:
    """Success only for a well-formed acknowledgement that names the stream and the place in it."""
    if not isinstance(answer, Msg):
        return Published(False, _LATE if answer is None else answer.detail)
    try:
        said = json.loads(answer.data)
        if "error" in said:
            return Published(False, str(said["error"].get("description", "unknown error")))
        if said["stream"] and said["seq"] > 0:
            # A duplicate of our own resend is not the client's.
            return Published(bool(said.get("duplicate")) and not resent, "")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return Published(False, "NATS gave an answer that is no acknowledgement.")
