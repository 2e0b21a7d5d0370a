"""What may be done to keys: each change takes all keys and gives all keys. Pure; times are nanoseconds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from functions.shared.domain import instants
from functions.shared.domain.keys import Digest, Environment, Key, Scope, hash_of
from functions.shared.errors import BadRequest, NotFound

# Who still sends a token that was rotated away is told so for this long; then it is as unknown as any other.
_REMEMBERED = 30 * 86_400 * instants.SECOND
_PREFIXES: tuple[tuple[Scope, str], ...] = (("admin", "ak"), ("write", "wk"), ("read", "rk"))
Keys = Sequence[Key]
Edit = Callable[[Keys], list[Key]]


def token_for(scopes: Sequence[Scope], environment: Environment, name: str, random: str) -> str:
    """A token: what it is for can be seen, and who may use it cannot be guessed."""
    prefix = next(prefix for scope, prefix in _PREFIXES if scope in scopes)
    return f"{prefix}_{environment}_{name}_{random}"


def added(new: Key, token: str, now: int) -> Edit:
    """A new key, with its first token. Raises :class:`BadRequest` when there is one of its id."""

    def edit(keys: Keys) -> list[Key]:
        if any(key.key_id == new.key_id for key in keys):
            raise BadRequest("key_exists", f"There is a key {new.key_id} already.")
        return [*keys, _with(new, digests=(_digest(token),), created_at=_second(now))]

    return edit


def rotated(key_id: str, token: str, now: int, overlap: int) -> Edit:
    """A new token for a key; those before are good for ``overlap`` nanoseconds more, unless they end sooner."""
    until = _second(now + overlap)

    def ending(digest: Digest) -> Digest:
        ends_sooner = digest.expires_at and instants.from_text(digest.expires_at) <= now + overlap
        return digest if ends_sooner else Digest(digest.sha256, until)

    def edit(key: Key) -> Key:
        if key.revoked_at:
            raise BadRequest("key_revoked", f"The key {key_id} was revoked; make another.")
        kept = (ending(one) for one in key.digests if not _forgotten(one, now))
        return _with(key, digests=(*kept, _digest(token)))

    return _on(key_id, edit)


def revoked(key_id: str, now: int) -> Edit:
    """An end to a key, with all its tokens. One that was revoked before stays as it is."""
    return _on(key_id, lambda key: key if key.revoked_at else _with(key, revoked_at=_second(now)))


def changed(key_id: str, options: Mapping[str, Any]) -> Edit:
    """What a key may do from now on; what is not among ``options`` stays as it is, and so do its tokens.

    Raises :class:`BadRequest` for one that was revoked, :class:`msgspec.ValidationError` for what no key may be.
    """

    def edit(key: Key) -> Key:
        if key.revoked_at:
            raise BadRequest("key_revoked", f"The key {key_id} was revoked; make another.")
        return msgspec.convert({**msgspec.to_builtins(key), **options}, Key)

    return _on(key_id, edit)


def named(keys: Keys, name: str) -> Key:
    """The key of an id, or the one of a name that is not revoked. Raises :class:`NotFound`, :class:`BadRequest`."""
    same = [key for key in keys if key.name == name and not key.revoked_at]
    if not same or any(key.key_id == name for key in keys):
        return found(keys, name)
    if len(same) > 1:
        told = ", ".join(key.key_id for key in same[:5])
        raise BadRequest("key_name_ambiguous", f"{len(same)} keys are named {name[:60]!r}: {told}. Give the id.")
    return same[0]


def found(keys: Keys, key_id: str) -> Key:
    """The key of an id. Raises :class:`NotFound`."""
    for key in keys:
        if key.key_id == key_id:
            return key
    raise NotFound("key_not_found", f"There is no key {key_id[:60]!r}; `weir keys list` shows those there are.")


def _on(key_id: str, change: Callable[[Key], Key]) -> Edit:
    def edit(keys: Keys) -> list[Key]:
        found(keys, key_id)
        return [change(key) if key.key_id == key_id else key for key in keys]

    return edit


def _with(key: Key, **changed: object) -> Key:
    return Key(**{**{name: getattr(key, name) for name in key.__struct_fields__}, **changed})


def _second(now: int) -> str:
    return instants.to_text(now - now % instants.SECOND)


def _digest(token: str) -> Digest:
    return Digest(hash_of(token).hex())


def _forgotten(digest: Digest, now: int) -> bool:
    return bool(digest.expires_at) and instants.from_text(digest.expires_at) + _REMEMBERED < now
