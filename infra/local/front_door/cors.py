"""What browsers ask before they let a page of another origin post here. The template says the same to AWS."""

from __future__ import annotations

from aiohttp import web

_ALLOW_HEADERS = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, X-Api-Key, X-Request-Id"
_EXPOSE_HEADERS = (
    "Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Next-Cursor, X-Request-Id"
)


def preflight(allow: str) -> web.Response:
    """The answer to an OPTIONS request."""
    headers = {
        "Allow": allow,
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": _ALLOW_HEADERS,
        "Access-Control-Max-Age": "86400",
    }
    return web.Response(status=204, headers=headers)


def expose(response: web.Response) -> None:
    """Let a page of another origin read the answer."""
    response.headers.setdefault("Access-Control-Allow-Origin", "*")
    response.headers.setdefault("Access-Control-Expose-Headers", _EXPOSE_HEADERS)
