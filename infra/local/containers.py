"""How functions in containers (`sam local`) reach engines that listen on loopback alone.

`sam local` puts its containers on Docker's own bridge, also when it is told `--docker-network host`. Docker Desktop
leads `host.docker.internal` to loopback by itself; on Linux a relay on the bridge's address does.
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import json
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from .ports import HOST

# What a container knows this machine by; `samconfig.toml` sees to it on Linux.
HOST_NAME = "host.docker.internal"
_INTERFACE = "docker0"
_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B
_CHUNK_BYTES = 64 * 1024


def bridge() -> ipaddress.IPv4Interface | None:
    """This machine's address on Docker's bridge, with its network; None where there is no such bridge."""
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", _INTERFACE.encode())
        try:
            address, mask = (
                socket.inet_ntoa(fcntl.ioctl(probe, number, request)[20:24])
                for number in (_SIOCGIFADDR, _SIOCGIFNETMASK)
            )
        except OSError:
            return None
    return ipaddress.IPv4Interface(f"{address}/{mask}")


def seen_from_containers(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with this machine's loopback address as containers know it."""
    return {name: value.replace(HOST, HOST_NAME) for name, value in variables.items()}


def write_sam_variables(file: Path, variables: Mapping[str, str]) -> None:
    """For `sam local … --env-vars`: what each function is told instead of the template's parameters."""
    # A folder of this machine is none of a container's.
    told = {**seen_from_containers(variables), "WEIR_GEO_PATH": ""}
    file.write_text(json.dumps({"Parameters": told}, indent=2) + "\n")


class Relay:
    """Carries connections from the bridge to the same port on loopback. Takes them from the bridge's network alone."""

    def __init__(self, at: ipaddress.IPv4Interface, ports: Iterable[int]) -> None:
        self._at, self._ports = at, list(ports)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._servers: list[asyncio.Server] = []

    def start(self) -> None:
        """Listen. Raises OSError when a port of the bridge's address is taken."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Listen no more, and end every connection."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        for port in self._ports:

            async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
                await self._carry(reader, writer, port)

            self._servers.append(await asyncio.start_server(carry, str(self._at.ip), port))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        with suppress(OSError), closing(writer):
            if ipaddress.ip_address(writer.get_extra_info("peername")[0]) not in self._at.network:
                return
            other_reader, other_writer = await asyncio.open_connection(HOST, port)
            with closing(other_writer):
                await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one end has said all; the other is then told so."""
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
