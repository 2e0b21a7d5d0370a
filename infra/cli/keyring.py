"""The keys at their source, as `weir keys` reads and changes them: two people at once lose nothing of each other."""

from __future__ import annotations

import os
import re
import secrets
import string
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from functions.shared import wiring
from functions.shared.domain import key_document, key_edits
from functions.shared.domain.instants import SECOND
from functions.shared.domain.key_edits import Edit
from functions.shared.domain.keys import Environment, Key
from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured, Reject
from functions.shared.ports import KeySource
from functions.shared.settings import KeySettings
from infra.cli.client import CommandError

_TRIES = 20
_ID_LETTERS = string.ascii_lowercase + string.digits
_TOKEN_LETTERS = string.ascii_letters + string.digits
_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6})([smhd]?)\Z", re.ASCII)


class Keyring:
    """The keys of one source. Methods raise :class:`CommandError`. ``clock`` is nanoseconds."""

    def __init__(self, source: KeySource, new: bool = False, clock: Callable[[], int] = time.time_ns) -> None:
        """Take a source; a ``new`` one has no document yet."""
        self._source, self._new, self._clock = source, new, clock

    def all(self) -> list[Key]:
        """Every key, also revoked ones."""
        return self._read()[0]

    def one(self, key_id: str) -> Key:
        """One key."""
        key: Key = _plainly(lambda: key_edits.found(self.all(), key_id))
        return key

    def create(self, environment: Environment, options: Mapping[str, Any]) -> tuple[Key, str]:
        """A new key and its token."""
        own = _random(_ID_LETTERS, 10)
        if not options["scopes"]:
            raise CommandError("A key needs a scope: --scope write, read or admin.")
        token = key_edits.token_for(options["scopes"], environment, own, _random(_TOKEN_LETTERS, 32))
        new = _plainly(lambda: msgspec.convert({"key_id": f"{environment}_{own}", **options}, Key))
        return self._change(new.key_id, key_edits.added(new, token, self._clock())), token

    def rotate(self, key_id: str, overlap: int) -> tuple[Key, str]:
        """The key and its new token."""
        key = self.one(key_id)
        own = key_id.partition("_")[2]
        token = key_edits.token_for(key.scopes, key.environment, own, _random(_TOKEN_LETTERS, 32))
        return self._change(key_id, key_edits.rotated(key_id, token, self._clock(), overlap)), token

    def set(self, name: str, options: Mapping[str, Any]) -> Key:
        """The key of an id or a name, with what it may do changed as ``options`` say."""
        if not options:
            raise CommandError("Say what is to change, such as --rate or --origin; `weir keys set --help` shows all.")
        key_id = _plainly(lambda: key_edits.named(self.all(), name)).key_id
        return self._change(key_id, key_edits.changed(key_id, options))

    def revoke(self, key_id: str) -> Key:
        """The key, as it is from now on."""
        return self._change(key_id, key_edits.revoked(key_id, self._clock()))

    def _change(self, key_id: str, edit: Edit) -> Key:
        for _ in range(_TRIES):
            keys, version = self._read()
            changed = _plainly(lambda keys=keys: edit(keys))  # type: ignore[misc]
            try:
                self._write(changed, version)
            except Conflict:
                continue
            return key_edits.found(changed, key_id)
        raise CommandError("Others change the keys all the time; nothing was changed. Try again.")

    def _write(self, keys: Sequence[Key], version: str) -> None:
        _plainly(lambda: self._source.replace(key_document.write(keys), version))
        self._new = False

    def _read(self) -> tuple[list[Key], str]:
        if self._new:
            return [], ""
        kept = _plainly(self._source.read)
        # A bucket without an entry.
        keys = _plainly(lambda: key_document.read(kept.text)) if kept.text else []
        return keys, kept.version


def open_keyring(variables: Mapping[str, str] = os.environ) -> Keyring:
    """The keys that the environment names, else those of the stack on this machine."""
    if not variables.get("WEIR_KEYS"):
        from infra.local import dev_keys
        from infra.local.paths import ROOT

        path = ROOT / ".weir" / "keys.json"
        path.parent.mkdir(exist_ok=True)
        # What the next start of the stack would do.
        dev_keys.ensure(path)
        return Keyring(wiring.key_source(KeySettings(keys_path=str(path))))
    settings = _plainly(lambda: wiring.settings_of(KeySettings))
    source = _plainly(lambda: wiring.key_source(settings))
    return Keyring(source, new=settings.keys == "file" and not Path(settings.keys_path).exists())


def told(key: Key) -> dict[str, Any]:
    """A key for people and machines: everything but the digests."""
    shown: dict[str, Any] = {"key_id": key.key_id, "environment": key.environment}
    for name in key.__struct_fields__:
        value = getattr(key, name)
        if name not in ("key_id", "digests"):
            shown[name] = list(value) if isinstance(value, tuple) else value
    shown["tokens"] = [f"good until {one.expires_at}" if one.expires_at else "good" for one in key.digests]
    return shown


def nanoseconds(text: str) -> int:
    """A duration such as ``24h``; a number alone is seconds. Raises :class:`CommandError`."""
    found = _DURATION.match(text.strip())
    if found is None:
        raise CommandError(f"{text!r} is no duration; one looks like 30m, 24h or 7d.")
    return int(found[1]) * _UNITS[found[2] or "s"] * SECOND


def _random(letters: str, count: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(count))


def _plainly(do: Callable[[], Any]) -> Any:
    """The result; what went wrong as one sentence. A conflict is the caller's to solve."""
    try:
        return do()
    except (Misconfigured, msgspec.ValidationError) as error:
        raise CommandError(f"The keys: {error}.") from None
    except (KeysUnavailable, Reject) as error:
        raise CommandError(error.detail) from None
