"""Keys in memory: the fake of the port, and what a setting itself holds."""

from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured
from functions.shared.ports import KeptDocument


class MemoryKeys:
    """Implements :class:`~functions.shared.ports.KeySource`."""

    def __init__(self, text: str = "", fixed: bool = False) -> None:
        """Start with a document; a ``fixed`` one is never replaced."""
        self._text, self._fixed = text, fixed
        self._version = 1 if text else 0
        self.available = True

    def read(self) -> KeptDocument:
        """See the port."""
        if not self.available:
            raise KeysUnavailable("The keys are away.")
        if not self._text:
            raise Misconfigured("there are no keys yet")
        return KeptDocument(self._text, str(self._version))

    def replace(self, text: str, version: str) -> None:
        """See the port."""
        if not self.available:
            raise KeysUnavailable("The keys are away.")
        if self._fixed:
            raise Misconfigured("these keys are given by a setting, and are changed there")
        if version != (str(self._version) if self._text else ""):
            raise Conflict
        self._text, self._version = text, self._version + 1
