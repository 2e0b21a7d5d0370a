"""One connection to NATS that is made when needed, and dropped and made anew at the first doubt.

The client's own reconnecting is switched off: it runs only while the event loop runs (Lambda freezes the process
between calls), waits between tries, and leaves requests in hand to time out. Here a lost connection fails every
request in hand at once, and the next request connects.
"""

import asyncio
import contextlib
import itertools
import math
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from functions.shared.errors import QueueUnavailable

_NO_RESPONDERS = "503"
_CONNECT_SECONDS = 2
_PROBE_SECONDS = 0.5
_CLOSE_SECONDS = 0.2
# The client swallows a cancellation when it waits for room in its own buffer: give it room for any call.
_BUFFER_BYTES = 256 * 1024 * 1024


Answer = Msg | QueueUnavailable


class Ask(NamedTuple):
    """A request: answered by one message to an inbox."""

    subject: str
    body: bytes
    headers: Mapping[str, str] | None = None


def end(loop: asyncio.AbstractEventLoop, link: "Link") -> None:
    """Close a link and the event loop it belongs to, if that is not done.

    The collector may call it in a thread in which another loop is running: no second one can run there.
    """
    if loop.is_closed():
        return

    def close() -> None:
        loop.run_until_complete(link.close())
        loop.close()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        close()
        return
    thread = threading.Thread(target=close, name="nats-end")
    thread.start()
    thread.join()


class Link:
    """A healing connection. Belongs to the event loop that first uses it. Not for several threads.

    ``trust_seconds``: after how long without an answer the connection is probed before it is used.
    """

    def __init__(self, url: str, name: str, ping_seconds: int = 10, trust_seconds: float = math.inf) -> None:
        self._url = url
        self._options: dict[str, Any] = {"name": name, "ping_interval": ping_seconds}
        self._trust_seconds = trust_seconds
        self._client: Client | None = None
        self._waiting: dict[str, asyncio.Future[Answer | None]] = {}
        self._prefix = ""
        self._numbers = itertools.count()
        self._connecting: asyncio.Lock | None = None
        self._used_at = 0.0

    @property
    def max_payload_bytes(self) -> int:
        """The server's own limit for headers and body of one message; 0 while it is not known."""
        return self._client.max_payload if self._client is not None else 0

    async def client(self) -> Client:
        """The live connection; connects when there is none. Raises :class:`QueueUnavailable`."""
        self._connecting = self._connecting or asyncio.Lock()
        async with self._connecting:
            if self._client is not None and not await self._alive(self._client):
                await self._discard(self._client)
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def send(self, subject: str, body: bytes) -> None:
        """Send without waiting for anything. Raises :class:`QueueUnavailable` when the connection is down."""
        client = await self.client()
        try:
            await client.publish(subject, body)
        except NatsError as error:
            raise QueueUnavailable(_text(error)) from error

    async def ask(self, asks: Sequence[Ask], timeout_seconds: float) -> list[Answer | None]:
        """Send all at once, in order, and give each one's answer; None where none came in time or the link broke.

        An answer is an error when nobody listens. Raises :class:`QueueUnavailable` when there is no connection.
        A link that left anything unanswered is dropped: what it holds is not known.
        """
        until = time.monotonic() + timeout_seconds
        client = await self.within(timeout_seconds)
        futures = [await self._sent(client, ask) for ask in asks]
        await asyncio.wait(futures, timeout=max(until - time.monotonic(), 0))
        answers = [future.result() if future.done() else None for future in futures]
        if None in answers:
            await self._discard(client)
        else:
            self._used_at = time.monotonic()
        return answers

    async def drop(self) -> None:
        """Forget the connection, whatever state it is in."""
        if self._client is not None:
            await self._discard(self._client)

    async def close(self) -> None:
        """Hand over what was sent, then close. For an orderly end."""
        if self._client is not None and self._client.is_connected:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await self._client.flush(1)
        await self.drop()

    async def within(self, seconds: float) -> Client:
        """As :meth:`client`, but for no longer than ``seconds``."""
        if self._client is not None and await self._alive(self._client):
            return self._client
        task = asyncio.ensure_future(self.client())
        await asyncio.wait([task], timeout=max(seconds, 0))
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, QueueUnavailable):
            await task
        raise QueueUnavailable("NATS did not answer in time.")

    async def _alive(self, client: Client) -> bool:
        if not client.is_connected:
            return False
        if time.monotonic() - self._used_at < self._trust_seconds:
            return True
        # A gateway drops idle connections without a word: ask before trusting a message to it.
        try:
            await client.flush(_PROBE_SECONDS)  # type: ignore[arg-type]
        except (NatsError, OSError, TimeoutError):
            return False
        self._used_at = time.monotonic()
        return True

    async def _connect(self) -> Client:
        client = Client()
        try:
            await client.connect(
                [url.strip() for url in self._url.split(",")],
                allow_reconnect=False,
                # Even a first connection "reconnects": without these it would try for minutes, with pauses.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                pending_size=_BUFFER_BYTES,
                connect_timeout=_CONNECT_SECONDS,
                error_cb=_ignore,
                closed_cb=self._on_closed,
                **self._options,
            )
            self._prefix = f"_INBOX.{secrets.token_hex(11)}."
            await client.subscribe(self._prefix + "*", cb=self._on_answer)
        except (NatsError, OSError, TimeoutError) as error:
            await _abort(client)
            raise QueueUnavailable(f"NATS cannot be reached: {_text(error)}") from error
        except BaseException:
            await _abort(client)
            raise
        self._used_at = time.monotonic()
        return client

    async def _sent(self, client: Client, ask: Ask) -> asyncio.Future[Answer | None]:
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        inbox = f"{self._prefix}{next(self._numbers)}"
        self._waiting[inbox] = future
        try:
            await client.publish(ask.subject, ask.body, inbox, ask.headers)  # type: ignore[arg-type]
        except (NatsError, OSError):
            self._waiting.pop(inbox, None)
            if not future.done():
                future.set_result(None)
        return future

    async def _on_answer(self, message: Msg) -> None:
        future = self._waiting.pop(message.subject, None)
        if future is None or future.done():
            return
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            future.set_result(QueueUnavailable("No stream listens; was the topology created?"))
        else:
            future.set_result(message)

    async def _on_closed(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(None)

    async def _discard(self, client: Client) -> None:
        if self._client is client:
            self._client = None
        await _abort(client)
        await self._on_closed()


async def _abort(client: Client) -> None:
    """Close at once: an orderly close waits for a server that may be frozen to take what is buffered."""
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    with contextlib.suppress(NatsError, OSError, TimeoutError, AssertionError):
        await asyncio.wait_for(client.close(), _CLOSE_SECONDS)


async def _ignore(_: Exception) -> None:
    """What went wrong shows in the requests that fail; the client's own report would only repeat it."""


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
