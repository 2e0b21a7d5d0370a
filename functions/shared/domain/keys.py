"""Keys: who may do what, with which events, from where. A token that only its holder has tells the key. Pure.

A key's id (``live_…``, ``test_…``) stays when its token is rotated; it is what is stored beside events. Of a token only
the SHA-256 digest is kept: tokens are random enough that nobody finds one from its digest.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from functions.shared.domain import instants
from functions.shared.domain.globs import globs
from functions.shared.errors import Unauthorized

Scope = Literal["write", "read", "admin"]
Environment = Literal["live", "test"]

# Not `$`, before which a line may end: an id goes into lines and labels as it is.
ID_PATTERN = r"^(live|test)_[a-z0-9_]{1,40}\Z"
LONGEST_TOKEN = 256
MOST_PATTERNS = 200

_ALLOWED: dict[Scope, frozenset[Scope]] = {
    "write": frozenset({"write"}),
    "read": frozenset({"read"}),
    "admin": frozenset({"admin", "read"}),
}
_DUMMY = bytes(32)
_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Patterns = Annotated[tuple[_Pattern, ...], msgspec.Meta(max_length=MOST_PATTERNS)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Digest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The SHA-256 of a token, hexadecimal, and until when the token is good (RFC 3339; empty is for good)."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    expires_at: str = ""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key. What is empty does not limit; 0 is no limit. Times are RFC 3339.

    In ``origins`` (lower case) and ``event_names`` a star stands for any characters. ``events_per_second`` and
    ``daily_events`` bound what is written; with ``slow_lane`` what is over the rate is taken later, not refused.
    """

    key_id: Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]
    name: _Text = ""
    scopes: tuple[Scope, ...] = ()
    digests: tuple[Digest, ...] = ()
    origins: _Patterns = ()
    event_names: _Patterns = ()
    events_per_second: _Count = 0
    requests_per_second: _Count = 0
    daily_events: _Count = 0
    slow_lane: bool = False
    created_at: str = ""
    revoked_at: str = ""

    @property
    def environment(self) -> Environment:
        """What the key writes and reads: nothing of the other environment."""
        return "test" if self.key_id.startswith("test_") else "live"

    def may(self, scope: Scope) -> bool:
        """Whether the key has a scope. An admin may read as well; writing is apart."""
        return any(scope in _ALLOWED[own] for own in self.scopes)

    def allows_origin(self, origin: str) -> bool:
        """Whether a browser's page of this origin may use the key."""
        return not self.origins or globs(self.origins).match(origin.lower())

    def allows_event(self, event_name: str) -> bool:
        """Whether events of this name may be written with the key."""
        return not self.event_names or globs(self.event_names).match(event_name)


# Whoever asks where no key is needed. No key that somebody holds may have its id.
NOBODY = Key(key_id="live_nobody")


class Keyring:
    """The keys there are, revoked ones among them, so that their holders are told why."""

    def __init__(self, keys: Iterable[Key]) -> None:
        # By the start of the digest: who measures how long a look takes learns of hashes, not of tokens.
        self._known: dict[bytes, list[tuple[bytes, int | None, Key]]] = {}
        for key in keys:
            for digest in key.digests:
                content = bytes.fromhex(digest.sha256)
                until = instants.from_text(digest.expires_at) if digest.expires_at else None
                self._known.setdefault(content[:4], []).append((content, until, key))

    def find(self, token: str, now: int) -> Key:
        """The key of a token. ``now`` is nanoseconds. Raises :class:`Unauthorized`: unknown, revoked or expired."""
        if not token or len(token) > LONGEST_TOKEN:
            raise _unknown()
        digest = hash_of(token)
        found: tuple[int | None, Key] | None = None
        for known, until, key in self._known.get(digest[:4], [(_DUMMY, None, NOBODY)]):
            if hmac.compare_digest(known, digest):
                found = until, key
        if found is None:
            raise _unknown()
        until, key = found
        if key.revoked_at:
            raise _refused(key, "key_revoked", "The key was revoked.")
        if until is not None and until <= now:
            raise _refused(key, "key_expired", "The key was rotated, and its old token is no longer taken.")
        return key


def hash_of(token: str) -> bytes:
    """The digest of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _refused(key: Key, code: str, detail: str) -> Unauthorized:
    error = Unauthorized(code, detail)
    error.key_id = key.key_id
    return error


def _unknown() -> Unauthorized:
    return Unauthorized("key_unknown", "There is no such key.")
