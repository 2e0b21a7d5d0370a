"""Keys as a secret of Secrets Manager, or as a parameter of SSM."""

from functions.shared.adapters import secret_references
from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured
from functions.shared.ports import KeptDocument


class SecretKeys:
    """Implements :class:`~functions.shared.ports.KeySource`.

    Neither service replaces a value only if it is still another: who writes at the same moment as somebody else may
    overwrite it. Both keep what was there before.
    """

    def __init__(self, reference: str) -> None:
        if not reference:
            raise Misconfigured("WEIR_KEYS_REFERENCE: say which secret holds the keys")
        self._reference = reference

    def read(self) -> KeptDocument:
        """See the port."""
        try:
            value, version = secret_references.fetch(self._reference)
        except secret_references.NotReached as error:
            raise KeysUnavailable("The secret of the keys cannot be read.", 2) from error
        return KeptDocument(value, version)

    def replace(self, text: str, version: str) -> None:
        """See the port."""
        try:
            _, now = secret_references.fetch(self._reference)
            if now != version:
                raise Conflict
            secret_references.put(self._reference, text)
        except secret_references.NotReached as error:
            raise KeysUnavailable("The secret of the keys cannot be written.", 2) from error
