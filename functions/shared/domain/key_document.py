"""The document in which keys are kept, wherever that is: JSON, ``{"version": 1, "keys": [ … ]}``. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from functions.shared.domain import instants
from functions.shared.domain.keys import NOBODY, Key
from functions.shared.errors import Misconfigured

MOST_BYTES = 1024 * 1024
_MOST_KEYS = 5_000


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[Key]
    version: Literal[1] = 1


_DECODER = msgspec.json.Decoder(_Document)


def read(text: str | bytes) -> list[Key]:
    """The keys of a document. Raises :class:`Misconfigured`, which says what is wrong and shows no value."""
    if len(text) > MOST_BYTES:
        raise Misconfigured(f"the keys' document is over {MOST_BYTES} bytes")
    try:
        keys = _DECODER.decode(text).keys
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Misconfigured(f"the keys' document cannot be read: {error}") from None
    _check(keys)
    return keys


def write(keys: Sequence[Key]) -> str:
    """The document of some keys, for people as well. Raises :class:`Misconfigured` for what could not be read."""
    text = msgspec.json.format(msgspec.json.encode(_Document(list(keys))), indent=1).decode() + "\n"
    read(text)
    return text


def _check(keys: Sequence[Key]) -> None:
    if len(keys) > _MOST_KEYS:
        raise Misconfigured(f"the keys' document has more than {_MOST_KEYS} keys")
    ids = {key.key_id for key in keys}
    digests = [digest.sha256 for key in keys for digest in key.digests]
    if len(ids) < len(keys):
        raise Misconfigured("the keys' document has two keys of one id")
    if NOBODY.key_id in ids:
        raise Misconfigured(f"the keys' document has a key of the id {NOBODY.key_id}, which stands for nobody")
    if len(set(digests)) < len(digests):
        raise Misconfigured("the keys' document has one token twice")
    for key in keys:
        for text in (key.created_at, key.revoked_at, *(digest.expires_at for digest in key.digests)):
            _time(key, text)


def _time(key: Key, text: str) -> None:
    try:
        if text:
            instants.from_text(text)
    except ValueError:
        raise Misconfigured(f"the keys' document: {key.key_id} has a time that is not RFC 3339") from None
