"""The development keys that a stack on this machine begins with. Everybody knows them, so nothing else has them."""

from __future__ import annotations

from pathlib import Path

from functions.shared.adapters.keys_file import FileKeys
from functions.shared.domain import key_document
from functions.shared.domain.keys import Digest, Key, Scope, hash_of
from functions.shared.errors import Conflict

WRITE, READ, ADMIN = "wk_local", "rk_local", "ak_local"
TEST_WRITE, TEST_READ = "wk_test_local", "rk_test_local"
_KEYS: dict[str, tuple[str, Scope]] = {
    WRITE: ("live_local_write", "write"),
    READ: ("live_local_read", "read"),
    ADMIN: ("live_local_admin", "admin"),
    TEST_WRITE: ("test_local_write", "write"),
    TEST_READ: ("test_local_read", "read"),
}


def document() -> str:
    """The five keys as a document."""
    return key_document.write(
        [
            Key(key_id=key_id, name=f"development: {token}", scopes=(scope,), digests=(Digest(hash_of(token).hex()),))
            for token, (key_id, scope) in _KEYS.items()
        ]
    )


def ensure(path: Path) -> None:
    """Make the file where there is none. One that is there is its owner's, whatever keys are in it."""
    if path.exists():
        return
    try:
        FileKeys(str(path)).replace(document(), "")
    except Conflict:
        return
