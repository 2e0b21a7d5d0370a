"""Taking messages from the durable consumer: the first within a wait, the rest within a short window."""

import contextlib
import itertools
import json
import secrets
import time
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from functions.shared.adapters.nats_link import Link
from functions.shared.adapters.nats_names import NAMES, Names
from functions.shared.errors import QueueUnavailable

# How long the server may be late with its own "the time is over" before the connection is held for dead.
_GRACE_SECONDS = 2.0
_PLAIN_TOKENS = 9
_GONE = ("Consumer Deleted", "Consumer is push based", "Stream Deleted")


class Taken(NamedTuple):
    """A message in hand. ``queued_at`` in nanoseconds since the epoch; ``deliveries`` counts from 1."""

    message: Msg
    sequence: int
    deliveries: int
    queued_at: int
    stream: str = NAMES.stream

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.message.data)


def taken(message: Msg) -> Taken:
    """Read what the acknowledgement subject says of the message."""
    tokens = message.reply.split(".")
    # $JS.ACK.stream.consumer.deliveries.sequence.….time.pending, or with domain and account after ACK.
    first = 2 if len(tokens) == _PLAIN_TOKENS else 4
    return Taken(message, int(tokens[first + 3]), int(tokens[first + 2]), int(tokens[first + 5]), tokens[first])


class Puller:
    """Pulls over a link, one pull at a time. Raises :class:`QueueUnavailable` when the broker is away."""

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{names.stream}.{names.consumer}"
        self._client: Client | None = None
        self._inbox = ""
        self._numbers = itertools.count()
        self._subscription: Subscription | None = None

    async def take(self, limit: int, max_bytes: int, wait_seconds: float, window_seconds: float) -> list[Taken]:
        """Up to ``limit`` messages: none when no first one came within the wait.

        The bodies together stay below ``max_bytes``, unless the first alone is bigger.
        """
        first = await self._pull(1, 0, wait_seconds)
        room = max_bytes - sum(each.size for each in first)
        if not first or limit == 1 or room <= 0:
            return first
        return first + await self._pull(limit - 1, room, window_seconds)

    async def abandon(self) -> list[Taken]:
        """End what a cancelled pull left open, so that the server sends no more; gives what had already come."""
        subscription, self._subscription = self._subscription, None
        if subscription is None or self._client is None or not self._client.is_connected:
            return []
        late: list[Taken] = []
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()
            await self._client.flush(1)
            while subscription.pending_msgs:
                message = await subscription.next_msg(0.1)
                late += [taken(message)] if message.reply else []
        return late

    async def _pull(self, count: int, max_bytes: int, seconds: float) -> list[Taken]:
        request: dict[str, int | bool] = {"batch": count}
        request |= {"expires": int(seconds * 1e9)} if seconds > 0 else {"no_wait": True}
        request |= {"max_bytes": max_bytes} if max_bytes else {}
        subscription = await self._listening()
        reply = f"{self._inbox}{next(self._numbers)}"
        client = await self._link.client()
        try:
            await client.publish(self._next, json.dumps(request).encode(), reply)
            return await self._collect(subscription, reply, count, time.monotonic() + seconds + _GRACE_SECONDS)
        except (NatsError, OSError) as error:
            await self._link.drop()
            raise QueueUnavailable(f"NATS was lost during a pull: {type(error).__name__}") from error

    async def _collect(self, subscription: Subscription, reply: str, count: int, until: float) -> list[Taken]:
        messages: list[Taken] = []
        while len(messages) < count:
            try:
                message = await subscription.next_msg(max(until - time.monotonic(), 0.001))
            except (NatsError, OSError):
                if messages:
                    return messages
                raise
            if message.reply:
                messages.append(taken(message))
            elif message.subject == reply:
                _judge(message.headers or {})
                return messages
        return messages

    async def _listening(self) -> Subscription:
        client = await self._link.within(_GRACE_SECONDS)
        if self._subscription is None or self._client is not client:
            self._inbox = f"_INBOX.{secrets.token_hex(11)}."
            try:
                self._subscription = await client.subscribe(self._inbox + "*")
            except NatsError as error:
                raise QueueUnavailable(str(error)) from error
            self._client = client
        return self._subscription


def _judge(headers: dict[str, str]) -> None:
    """A status ends a pull: out of time or of messages is ordinary, a missing consumer is not."""
    description = headers.get("Description", "")
    if headers.get("Status") == "503" or description in _GONE:
        raise QueueUnavailable("The stream or its consumer does not exist; was the topology created?")


async def settle(link: Link, each: Taken, verb: bytes) -> None:
    """Send one acknowledgement verb for a message, without waiting for the broker's answer."""
    await link.send(each.message.reply, verb)


def nak(after_seconds: float) -> bytes:
    """The verb that gives a message back for later."""
    return b'-NAK {"delay": %d}' % int(after_seconds * 1e9) if after_seconds > 0 else b"-NAK"


ACK = b"+ACK"
TERM = b"+TERM"
PROGRESS = b"+WPI"
