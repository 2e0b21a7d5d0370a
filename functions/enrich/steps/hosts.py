"""Hosts and the sites they belong to."""

import re

from functions.enrich.steps.tables.channels import SECOND_LEVEL, SHARED_DOMAINS

_COUNTRY = 2
_DEEP = 3
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")
_LONGEST = 253  # of a name in the DNS (RFC 1035)


def is_host(name: str) -> bool:
    """Whether a text can be a host's name (in any script) or an address."""
    return len(name) <= _LONGEST and _HOST.fullmatch(name) is not None


def site(host: str) -> str:
    """The domain a host was registered under (``shop.example.co.uk`` -> ``example.co.uk``); the host where it has none.

    A handful of rules in place of the public suffix list: what they miss is whether two hosts of one suffix count as
    one site, and the list would cost 30 ms of every cold start.
    """
    labels = host.split(".")
    if len(labels) < _DEEP or ":" in host or labels[-1].isdigit():
        return host
    shared = ".".join(labels[-2:]) in SHARED_DOMAINS
    below_country = len(labels[-1]) == _COUNTRY and labels[-2] in SECOND_LEVEL
    return ".".join(labels[-3 if shared or below_country else -2 :])


def without_www(host: str) -> str:
    """A host as people name it."""
    return host.removeprefix("www.")
