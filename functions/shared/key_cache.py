"""The keyring as the source has it, kept for a while: a change is effective within a minute, without a deployment.

A key that was just made is good within seconds, or at once: a token that nobody knows makes the ring be read anew.
"""

from collections.abc import Callable

from functions.shared.domain import key_document
from functions.shared.domain.instants import SECOND
from functions.shared.domain.keys import Key, Keyring
from functions.shared.errors import KeysUnavailable, Misconfigured, Unauthorized
from functions.shared.ports import KeySource

# A source that is away is not asked by each request, nor a distant one by each token that nobody knows.
AGAIN_SECONDS = 5.0


class KeyCache:
    """Reads the ring when it is older than ``refresh_seconds``; for a token that nobody knows, ``unknown_seconds``.

    While the source is away, or has a document that cannot be read, the last ring holds for ``grace_seconds``;
    ``stale`` is told, with the error, at each try that failed; ``looked`` of each try, which is a miss of this cache.
    """

    def __init__(
        self,
        source: KeySource,
        clock: Callable[[], int],
        stale: Callable[[Exception], None],
        refresh_seconds: float = 20.0,
        grace_seconds: float = 3600.0,
        looked: Callable[[], None] = lambda: None,
        unknown_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._source, self._clock, self._stale, self._looked = source, clock, stale, looked
        self._refresh, self._grace = (round(one * SECOND) for one in (refresh_seconds, grace_seconds))
        self._again = min(self._refresh, round(AGAIN_SECONDS * SECOND))
        self._unknown = min(self._refresh, round(unknown_seconds * SECOND))
        self._ring: Keyring | None = None
        self._read_at = self._tried_at = 0

    def find(self, token: str) -> Key:
        """The key of a token. Raises :class:`Unauthorized`, and as :meth:`ring`."""
        now = self._clock()
        try:
            return self.ring().find(token, now)
        except Unauthorized as error:
            if error.code != "key_unknown" or now - self._tried_at < self._unknown:
                raise
        self._look(now)
        return self.ring().find(token, now)

    def ring(self) -> Keyring:
        """The ring. Raises :class:`KeysUnavailable` when there is none, or the last one is too old."""
        now = self._clock()
        if self._is_due(now):
            self._look(now)
        if self._ring is None or now - self._read_at > self._grace:
            raise KeysUnavailable("The keys cannot be looked up now.", 2)
        return self._ring

    def _look(self, now: int) -> None:
        self._tried_at = now
        self._looked()
        try:
            self._ring, self._read_at = Keyring(key_document.read(self._source.read().text)), now
        except (KeysUnavailable, Misconfigured) as error:
            self._stale(error)

    def _is_due(self, now: int) -> bool:
        # By the wall clock, since others may stand still while a function is frozen. It may be set back.
        if not 0 <= now - self._tried_at < self._refresh:
            return True
        return self._read_at != self._tried_at and now - self._tried_at >= self._again
