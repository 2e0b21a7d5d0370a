"""The OpenAPI 3.1 document of every route, made from the same lists that the code itself reads."""

import json
from functools import cache
from typing import Any

from functions.serve.openapi import reading, schemas, writing

_ABOUT = """\
Weir collects events: send them over HTTPS, read them back, enriched. An event that was acknowledged is never lost and
never counted twice.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`. 400: never send it again as it is. 429 and
503: send the same again after `Retry-After` seconds. Every answer carries `X-Request-Id`.

**Keys** may be sent as `Authorization: Bearer KEY`, as the user name of Basic, as `X-Api-Key`, or for writes as
`?key=`. Until keys are enforced they are accepted and ignored.
"""
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key as a bearer token."},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as the user name; no password."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key", "description": "For writes only."},
}


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": "1",
            "summary": "Self-hosted event collection.",
            "description": _ABOUT,
        },
        "servers": [{"url": "/", "description": "Where this document was fetched from."}],
        "security": [{}, *({name: []} for name in _SECURITY_SCHEMES)],
        "tags": [
            {"name": "Writing", "description": "Send events."},
            {"name": "Reading", "description": "Read events, and what became of them."},
            {"name": "Operating", "description": "Whether it lives, what waits, and this document."},
        ],
        "paths": _merged(writing.paths(), reading.paths()),
        "components": {"schemas": schemas.components(), "securitySchemes": _SECURITY_SCHEMES},
    }


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """All operations of a path together: events are written and read at the same place."""
    paths: dict[str, Any] = {}
    for part in parts:
        for path, operations in part.items():
            paths.setdefault(path, {}).update(operations)
    return paths


@cache
def text() -> str:
    """The document as it is served and committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
