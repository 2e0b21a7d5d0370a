"""Addresses of the network: whatever a client or a proxy calls one, in its canonical form."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LONGEST = 128  # several addresses with ports; more of them add nothing
_PREFIX = {4: 24, 6: 48}
_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?\Z|([^:]*):\d+\Z")

Address = IPv4Address | IPv6Address


def find(text: str) -> Address | None:
    """The sender's address. None where there is none.

    A chain of proxies lists the sender first, but a sender behind a private network is known by its public one.
    """
    addresses = [address for piece in text[:LONGEST].split(",") if (address := _address(piece)) is not None]
    return next((address for address in addresses if address.is_global), addresses[0]) if addresses else None


def network(address: Address) -> str:
    """The network an address is in, as a form that names no household: /24 of IPv4, /48 of IPv6."""
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


def truncated(text: str) -> str:
    """The first address of the sender's network: what is left once the household is cut off. '' for no address."""
    address = find(text)
    return "" if address is None else network(address).partition("/")[0]


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
