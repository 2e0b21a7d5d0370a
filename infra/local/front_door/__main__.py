"""`python -m infra.local.front_door --upstream FILE --port 3000`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from infra.local.exposition import FILE

from .door import Door, Limits
from .gate import Gate
from .patience import HastyServer
from .upstream import UpstreamFile

_MIB = 1 << 20
# Longer than the gateway's own 29 s, shorter than a client's patience.
_ANSWER_SECONDS = 30.0
# Shorter than the emulator keeps a connection, so that it is never the one to close it.
_IDLE_SECONDS = 30.0
# The emulator starts a worker (a second, 50 MB) for each request beyond those it has workers for; on a few cores
# a short wait is better. The stack starts this many of collect's beforehand.
_AT_ONCE = {"collect": 3, "enrich": 2, "serve": 4, "waiting": 6}
_WAITING = 256
_HEADERS_SECONDS = 10.0
# For what a client still sends of a request that was answered before it was whole.
_LINGER_SECONDS = 3.0
_PATIENCE_SECONDS = 10.0
_FINISH_SECONDS = 5.0


def main() -> int:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        uvloop.run(_serve(options))
    except OSError as error:
        print(f"front door: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS, sock_connect=2)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        door = Door(
            UpstreamFile(options.upstream), session, _limits(), _gates(), options.upstream.parent / "logs" / FILE
        )
        server = HastyServer(
            door.handle,
            _HEADERS_SECONDS,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=75,
            lingering_time=_LINGER_SECONDS,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_FINISH_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, options.host, options.port, backlog=512).start()
        logging.info("listening on http://%s:%d", options.host, options.port)
        await stop.wait()
        await runner.cleanup()


def _gates() -> dict[str, Gate]:
    return {name: Gate(at_once, _WAITING, _PATIENCE_SECONDS) for name, at_once in _AT_ONCE.items()}


def _limits() -> Limits:
    return Limits(
        request_bytes=int(os.environ.get("WEIR_LIMIT_REQUEST_BYTES") or 4 * _MIB),
        inflated_bytes=int(os.environ.get("WEIR_LIMIT_INFLATED_BYTES") or 16 * _MIB),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="front_door", description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True, help="the file that says where the API is")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
