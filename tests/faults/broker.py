"""What is asked of the broker itself, past the proxy: its bounds, its dead letters, and messages of anybody's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from functions.shared.adapters.nats_names import NAMES
from infra.nats.topology import TopologySettings

T = TypeVar("T")
_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SECONDS, _ALL_SECONDS = 10.0, 120.0
# An acknowledgement says how often the message had been delivered.
_ACK = re.compile(rb"(PUB \$JS\.ACK\.%b\.%b\.([1-9]\d*)\.[^\r]* 4\r\n)\+ACK\r\n" % (b"[^.]+", b"[^.]+"))


def bound(url: str, room_bytes: int | None) -> None:
    """Let the stream hold so many bytes more than now; None: as much as is declared."""

    async def change(stream: JetStreamContext) -> None:
        info = await stream.stream_info(NAMES.stream)
        config = info.config
        declared = TopologySettings().nats_stream_max_bytes
        config.max_bytes = declared if room_bytes is None else info.state.bytes + room_bytes
        await stream.update_stream(config)

    _run(url, change)


def put(url: str, body: bytes) -> None:
    """A message that collect never saw."""

    async def publish(stream: JetStreamContext) -> None:
        await stream.publish(NAMES.subject, body)

    _run(url, publish)


def dead_letters(url: str) -> list[bytes]:
    """The body of each dead letter."""

    async def read(stream: JetStreamContext) -> list[bytes]:
        found: list[bytes] = []
        subscription = await stream.subscribe(NAMES.dead_subject, ordered_consumer=True)
        for _ in range((await stream.stream_info(NAMES.dead_stream)).state.messages):
            try:
                found.append((await subscription.next_msg(_SECONDS)).data)
            except NatsTimeout:
                break
        return found

    return _run(url, read)


def ids_in(body: bytes) -> set[str]:
    """Every UUID in a message."""
    return {one.decode() for one in _UUID.findall(body)}


class Redelivering:
    """Turns acknowledgements into refusals until a message was delivered so often; for a proxy's ``rewrite``."""

    def __init__(self, times: int) -> None:
        self._times = times
        self.completed = 0

    def __call__(self, data: bytes) -> bytes:
        return _ACK.sub(self._judged, data)

    def _judged(self, ack: re.Match[bytes]) -> bytes:
        if int(ack[2]) < self._times:
            return ack[1] + b"-NAK\r\n"
        self.completed += 1
        return ack[0]


def _run(url: str, action: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    async def connected() -> T:
        client = Client()
        await client.connect([url], allow_reconnect=False, connect_timeout=5)
        try:
            return await action(client.jetstream())
        finally:
            await client.close()

    async def in_time() -> T:
        async with asyncio.timeout(_ALL_SECONDS):
            return await connected()

    return asyncio.run(in_time())
