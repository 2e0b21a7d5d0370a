"""The sender's address in its canonical form, and the network it is in as a form that names no household."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from functions.enrich.steps.step import Columns, Step, flagged

_CACHED = 16_384
_LONGEST = 128  # several addresses with ports; more of them add nothing
_PREFIX = {4: 24, 6: 48}
_PORT = re.compile(r"^\[([^\]]*)\](?::\d+)?$|^([^:]*):\d+$")
_EMPTY: Columns = {"ip": "", "network": ""}

Address = IPv4Address | IPv6Address


def network_step() -> Step:
    """``ip`` and ``network`` from whatever a client or a proxy calls an address; flag ``ip_invalid``."""
    found = lru_cache(maxsize=_CACHED)(_found)

    def run(row: Mapping[str, Any]) -> Columns:
        ip = row["ip"]
        if not ip:
            return _EMPTY
        columns = found(ip[:_LONGEST])
        return columns if columns is not _EMPTY else flagged(row, _EMPTY, "ip_invalid")

    return Step("network", run, _EMPTY)


def _found(ip: str) -> Columns:
    addresses = [address for piece in ip.split(",") if (address := _address(piece)) is not None]
    if not addresses:
        return _EMPTY
    # A chain of proxies lists the sender first, but a sender behind a private network is known by its public one.
    address = next((address for address in addresses if address.is_global), addresses[0])
    network = ip_network((address, _PREFIX[address.version]), strict=False)
    return {"ip": str(address), "network": str(network)}


def _address(piece: str) -> Address | None:
    """One address, perhaps with a port, brackets, quotes or an interface; IPv4 within IPv6 is IPv4."""
    bare = piece.strip(' \t"')
    if match := _PORT.match(bare):
        bare = match[1] or match[2] or ""
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
