"""Whose events are refused: people who were erased, known by hashes alone.

A user is refused for good. A device is refused in those turns in which it was the person's, up to when the erasure was
asked for: what it sends later begins anew, and what another user sent from it stays theirs. Live and test have turns of
their own.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from functions.shared.domain import environments

Device = Literal["device", "test_device"]
Kind = Literal["user", "identity"] | Device
# As what a device is known in each environment.
DEVICES: dict[str, Device] = {environments.LIVE: "device", environments.TEST: "test_device"}
EARLIEST, LATEST = -(2**63), 2**63 - 1


class Position(NamedTuple):
    """A place in the order of events: nanoseconds, then the text of an event's id."""

    at: int
    event_id: str = ""


class Entry(NamedTuple):
    """One refusal: a subject, from one place up to, not including, another."""

    kind: Kind
    subject: str
    since: Position
    until: Position


def subject(kind: Kind, name: str) -> str:
    """The hash by which a user's UUID, a device's anonymous_id, or an identity is known."""
    return hashlib.sha256(f"weir.suppression\n{kind}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()


_subject = lru_cache(maxsize=65_536)(subject)


class Suppression:
    """All refusals of a moment. False where there are none, so that asking costs nothing then."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._spans: defaultdict[tuple[str, str], list[tuple[Position, Position]]] = defaultdict(list)
        for entry in entries:
            self._spans[entry.kind, entry.subject].append((entry.since, entry.until))

    def __bool__(self) -> bool:
        return bool(self._spans)

    def refuses(
        self,
        user_id: str | None,
        anonymous_id: str,
        identity: str,
        position: Position,
        environment: str = environments.LIVE,
    ) -> bool:
        """Whether an event is of somebody who was erased. ``user_id`` is a UUID in lower case."""
        if user_id:
            return self._within("user", user_id, position)
        if anonymous_id and self._within(DEVICES[environment], anonymous_id, position):
            return True
        return bool(identity) and self._within("identity", identity, position)

    def _within(self, kind: Kind, name: str, position: Position) -> bool:
        spans = self._spans.get((kind, _subject(kind, name)), ())
        return any(since <= position < until for since, until in spans)
