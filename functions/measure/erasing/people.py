"""By what a person is known: the users, devices and other identities that are one with a user."""

from collections.abc import Iterable, Sequence, Set
from itertools import groupby
from typing import Literal, NamedTuple

from functions.shared.domain import environments
from functions.shared.domain.suppression import DEVICES, EARLIEST, LATEST, Device, Position

Kind = Literal["user", "identity", "text", "lost"] | Device
# A shorter text would be found in the bytes of others.
_TELLING_CHARACTERS = 6
_DEVICE = "a:"


class Subject(NamedTuple):
    """One name of the person, and from where to where in the order of events it is theirs."""

    kind: Kind
    name: str
    since: Position = Position(EARLIEST)
    until: Position = Position(LATEST)


class Link(NamedTuple):
    """That a device named a user, at a place where it named another one before in this environment."""

    anonymous_id: str
    position: Position
    user_id: str
    environment: str = environments.LIVE


def named(visitors: Iterable[str], asked_at: int) -> list[Subject]:
    """The subjects that visitors stand for. A user is theirs for good, all else up to when it was asked for.

    ``visitors`` are names as sessions show them.
    """
    until = Position(asked_at)
    return [
        Subject("user", name[2:]) if name.startswith("u:") else Subject("identity", name, until=until)
        for name in visitors
    ]


def turns(links: Sequence[Link], users: Set[str], asked_at: int) -> list[Subject]:
    """The turns in which devices were the person's: from a link to the next one of somebody else, as stitching has it.

    ``links`` are in the order of devices, then environments, then events. What comes before a device's first link is of
    its user too. A device that nobody else ever used is told in bytes that cannot be read as well.
    """
    found: list[Subject] = []
    for (device, environment), links_of in groupby(links, key=lambda link: (link.anonymous_id, link.environment)):
        kind = DEVICES[environment]
        runs = [(mine, next(run).position) for mine, run in groupby(links_of, key=lambda link: link.user_id in users)]
        ends = [start for _, start in runs[1:]] + [Position(asked_at)]
        for place, ((mine, start), end) in enumerate(zip(runs, ends, strict=True)):
            since = start if place else Position(EARLIEST)
            if mine and since < (until := min(end, Position(asked_at))):
                found.append(Subject(kind, device, since, until))
    shared = {link.anonymous_id for link in links if link.user_id not in users}
    return found + texts(sorted({link.anonymous_id for link in links} - shared))


def unlinked(devices: Iterable[str], links: Sequence[Link], asked_at: int) -> list[Subject]:
    """Devices of the person, each where it named no user: in one environment or in the other, up to ``asked_at``."""
    known = {(link.anonymous_id, link.environment) for link in links}
    return [
        Subject(kind, device, until=Position(asked_at))
        for device in sorted(devices)
        for environment, kind in DEVICES.items()
        if (device, environment) not in known
    ]


def texts(names: Iterable[str]) -> list[Subject]:
    """What to look for in bytes that cannot be read as an event."""
    return [Subject("text", name) for name in names if len(name) >= _TELLING_CHARACTERS]


def merged(visitor: str, pairs: Iterable[tuple[str, str]]) -> set[str]:
    """All visitors that operators said are one with this one, itself too."""
    neighbours: dict[str, set[str]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    found, left = {visitor}, [visitor]
    while left:
        fresh = neighbours.get(left.pop(), set()) - found
        found |= fresh
        left += fresh
    return found


def device(anonymous_id: str) -> str:
    """A device as sessions name it."""
    return _DEVICE + anonymous_id
