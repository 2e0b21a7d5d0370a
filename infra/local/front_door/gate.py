"""Bounds how many requests are under way: the emulator starts one more worker process for each beyond those it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Overloaded(Exception):
    """More wait than a client would wait for."""


class Gate:
    """Lets some in at once, and some more wait for their turn."""

    def __init__(self, at_once: int, waiting: int, patience_seconds: float) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._most_waiting = waiting
        self._patience_seconds = patience_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._enter()
        try:
            yield
        finally:
            self._turns.release()

    async def _enter(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        if self._waiting >= self._most_waiting:
            raise Overloaded
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise Overloaded from None
        finally:
            self._waiting -= 1
