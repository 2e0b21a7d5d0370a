"""Who may pass: the one place where a request's key is looked for, and held against the scope of its route."""

from dataclasses import replace

from functions.shared.access import LIVE_ONLY, OPEN, SCOPES
from functions.shared.credentials import token_of
from functions.shared.domain.keys import Key, Scope
from functions.shared.edge import Request
from functions.shared.errors import Forbidden, WeirError
from functions.shared.key_cache import KeyCache
from functions.shared.throttle import Throttle


class Gate:
    """Lets requests pass."""

    def __init__(self, keys: KeyCache, throttle: Throttle) -> None:
        self._keys, self._throttle = keys, throttle

    def admit(self, request: Request) -> Request:
        """The request with its key, and with what it has left.

        Raises :class:`Unauthorized`, :class:`Forbidden`, or a :class:`Retry` error, before the body is read.
        """
        route = request.method.upper(), request.resource
        needed = SCOPES.get(route)
        if needed == OPEN:
            return request
        # Before the key is looked at: whoever guesses keys is to be slow.
        of_address = self._throttle.address(request.address)
        key = self._key(request, query_allowed=needed == "write")
        try:
            _hold(key, request, needed, live_only=route in LIVE_ONLY)
            allowances = (of_address, self._throttle.request(key))
        except WeirError as error:
            error.key_id = key.key_id
            raise
        return replace(request, key=key, allowances=tuple(one for one in allowances if one is not None))

    def _key(self, request: Request, query_allowed: bool) -> Key:
        token = token_of(request.headers, request.params, query_allowed)
        return self._keys.find(token)


def _hold(key: Key, request: Request, needed: Scope | None, live_only: bool) -> None:
    if needed is None or not key.may(needed):
        raise Forbidden("key_scope", f"The key may not do this: {needed or 'another'} scope is needed.")
    if live_only and key.environment != "live":
        raise Forbidden("key_environment", "This holds for live and test data alike: a live key is needed.")
    origin = request.header("origin")
    if origin and not key.allows_origin(origin):
        raise Forbidden("origin_refused", "The key may not be used by pages of this origin.")
