"""The keys that tests ask with: those that every stack on this machine begins with."""

from collections.abc import Generator

import httpx

from infra.local import dev_keys

# Where they are kept, as variables.
VARIABLES = {"WEIR_KEYS": "inline", "WEIR_KEYS_DOCUMENT": dev_keys.document()}


def bearer(token: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {token}"}


def key_for(method: str, path: str) -> str:
    """A key that may do this."""
    if method.upper() == "POST" and path.rstrip("/").endswith(("/events", "/events/batch")):
        return dev_keys.WRITE
    return dev_keys.ADMIN


class KeyAuth(httpx.Auth):
    """Sends with each request the key that it needs, unless the request has its own."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx."""
        if "Authorization" not in request.headers and "X-Api-Key" not in request.headers:
            request.headers.update(bearer(key_for(request.method, request.url.path)))
        yield request
