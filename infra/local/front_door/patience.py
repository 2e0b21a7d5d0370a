"""How long the door waits for a client that says nothing: a connection costs its owner as little as it costs us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HastyServer(web.Server):
    """Closes a connection whose first request has not come whole, but for its body, within so many seconds.

    Between requests it is aiohttp that closes what is idle.
    """

    def __init__(self, handle: Handle, seconds: float, **options: float | bool | None) -> None:
        super().__init__(self._heard(handle), **options)  # type: ignore[arg-type]
        self._seconds = seconds
        self._silent: dict[RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> RequestHandler:
        protocol = super().__call__()
        self._silent[protocol] = asyncio.get_running_loop().call_later(self._seconds, self._close, protocol)
        return protocol

    def _heard(self, handle: Handle) -> Handle:
        async def heard(request: web.BaseRequest) -> web.StreamResponse:
            if timer := self._silent.pop(request.protocol, None):
                timer.cancel()
            return await handle(request)

        return heard

    def _close(self, protocol: RequestHandler) -> None:
        del self._silent[protocol]
        if protocol.transport is not None:
            protocol.transport.close()
