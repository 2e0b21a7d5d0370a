"""Keys in a file of this machine: changed by one process at a time, and read whole at any moment."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from functions.shared.domain.key_document import MOST_BYTES
from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured
from functions.shared.ports import KeptDocument

_OWNERS_ALONE = 0o600


class FileKeys:
    """Implements :class:`~functions.shared.ports.KeySource`."""

    def __init__(self, path: str) -> None:
        if not path:
            raise Misconfigured("WEIR_KEYS_PATH: say which file holds the keys")
        self._path = Path(path)

    def read(self) -> KeptDocument:
        """See the port."""
        try:
            with self._path.open(encoding="utf-8") as file:
                text = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            raise Misconfigured("WEIR_KEYS_PATH: there is no such file") from None
        except UnicodeDecodeError:
            raise Misconfigured("WEIR_KEYS_PATH: the file is no text") from None
        except OSError as error:
            raise KeysUnavailable("The file of the keys cannot be read.") from error
        return KeptDocument(text, hashlib.sha256(text.encode()).hexdigest())

    def replace(self, text: str, version: str) -> None:
        """See the port."""
        try:
            with self._alone():
                if self._version() != version:
                    raise Conflict
                temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNERS_ALONE)
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self._path)
        except OSError as error:
            raise KeysUnavailable("The file of the keys cannot be written.") from error

    def _version(self) -> str:
        return self.read().version if self._path.exists() else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A file of its own: the one of the keys is another at each change.
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
