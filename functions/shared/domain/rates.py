"""Rates and quotas as they are counted, and as clients are told of them. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from functions.shared.domain.instants import SECOND

# A rate a second is held over so many seconds, so that a client may send in bursts.
WINDOW_SECONDS = 10
DAY_SECONDS = 86_400
_IPV6_NETWORK = 64


class Allowance(NamedTuple):
    """What of a limit is left after a look: in requests or events, and seconds until some of it is free again."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int

    @property
    def scarcity(self) -> float:
        """How much of it is left, from 0 to 1."""
        return self.remaining / self.limit if self.limit else 0.0


def headers(allowances: Iterable[Allowance]) -> dict[str, str]:
    """The ``RateLimit-*`` fields of the limit that is nearest to its end; none where nothing is limited."""
    found = min(allowances, key=lambda one: one.scarcity, default=None)
    if found is None:
        return {}
    told = {"Limit": found.limit, "Remaining": found.remaining, "Reset": found.reset_seconds}
    return {f"RateLimit-{name}": str(value) for name, value in told.items()}


def day(now: int) -> tuple[str, int]:
    """The UTC day of an instant as a name, and the seconds until it is over."""
    seconds = now // SECOND
    return str(seconds // DAY_SECONDS), DAY_SECONDS - seconds % DAY_SECONDS


def network(address: str) -> str:
    """What of an address stands for one source: all of IPv4's, and the network that an IPv6 host may choose from."""
    try:
        found = ipaddress.ip_address(address.strip().strip("[]"))
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _IPV6_NETWORK), strict=False))
