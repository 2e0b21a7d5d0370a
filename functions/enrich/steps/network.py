"""The sender's address in its canonical form, and the network it is in as a form that names no household."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from functions.enrich.steps.step import Columns, Step, flagged
from functions.shared.domain import addresses

_CACHED = 16_384
_EMPTY: Columns = {"ip": "", "network": ""}


def network_step() -> Step:
    """``ip`` and ``network`` from whatever a client or a proxy calls an address; flag ``ip_invalid``."""
    found = lru_cache(maxsize=_CACHED)(_found)

    def run(row: Mapping[str, Any]) -> Columns:
        ip = row["ip"]
        if not ip:
            return _EMPTY
        columns = found(ip[: addresses.LONGEST])
        return columns if columns is not _EMPTY else flagged(row, _EMPTY, "ip_invalid")

    return Step("network", run, _EMPTY)


def _found(ip: str) -> Columns:
    address = addresses.find(ip)
    return _EMPTY if address is None else {"ip": str(address), "network": addresses.network(address)}
