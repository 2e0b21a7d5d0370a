"""Where an address is: the record a geolocation source answers with, and what it takes to ask one."""

from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """A place on earth. Texts are empty and coordinates None where the source does not know.

    ``country`` is ISO 3166-1 alpha-2, ``region`` and ``city`` are English names, ``timezone`` is an IANA name.
    """

    country: str = ""
    region: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    timezone: str = ""


class GeoLookup(Protocol):
    """A source of places."""

    def find(self, address: str) -> Place | None:
        """The place of a canonical IPv4 or IPv6 address; None where the source has none."""
        ...
