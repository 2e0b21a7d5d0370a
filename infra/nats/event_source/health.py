"""``GET /health`` on the loopback address: the counters as JSON. No framework for one answer."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import orjson

_READ_SECONDS = 2.0


async def serve(port: int, counters: Callable[[], dict[str, Any]]) -> asyncio.Server:
    """Answer until the server is closed. Raises OSError when the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            request = await asyncio.wait_for(reader.readline(), _READ_SECONDS)
            known = request.split(b" ")[1:2] == [b"/health"]
            body = orjson.dumps({"status": "ok", **counters()} if known else {"status": 404})
            status = b"200 OK" if known else b"404 Not Found"
            head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            writer.write(head % (status, len(body)) + body)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)
