"""The OpenAPI 3.1 document of every route, made from the same lists that the code itself reads."""

import json
from functools import cache
from typing import Any

from functions.serve.openapi import analytics, erasures, identities, ledger, reading, replays, schemas, writing
from functions.serve.openapi.parts import problems
from functions.shared.access import OPEN, SCOPES

_ABOUT = """\
Weir collects events: send them over HTTPS, read them back, enriched. An event that was acknowledged is never lost and
never counted twice.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`. 400: never send it again as it is. 429 and
503: send the same again after `Retry-After` seconds. Every answer carries `X-Request-Id`.

**Keys** are sent as `Authorization: Bearer KEY`, as the user name of Basic, as `X-Api-Key`, or for writes as `?key=`;
one of them. A key has scopes (`write`, `read`, `admin`; an admin may read as well) and belongs to the live or to the
test environment: of the other one it sees nothing. 401: the key is not taken. 403: it may not do this.
"""
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key as a bearer token."},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as the user name; no password."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key", "description": "For writes only."},
}

# What brings schemas of its own.
_OWN = (analytics, identities, ledger, replays, erasures)


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
        "tags": [
            {"name": "Writing", "description": "Send events."},
            {"name": "Reading", "description": "Read events, and what became of them."},
            {"name": "Analysing", "description": "Sessions, journeys, metrics and what is made of them."},
            {"name": "Operating", "description": "Whether it lives, what waits, and this document."},
        ],
        "paths": _guarded(*(part.paths() for part in (writing, reading, *_OWN))),
        "components": {
            "schemas": schemas.components() | {name: one for part in _OWN for name, one in part.schemas().items()},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _guarded(*parts: dict[str, Any]) -> dict[str, Any]:
    """All operations, each with the scope that its route needs."""
    paths = _merged(*parts)
    for path, operations in paths.items():
        for verb, operation in operations.items():
            needed = SCOPES[verb.upper(), path]
            schemes = [name for name in _SECURITY_SCHEMES if name != "query" or needed == "write"]
            operation["security"] = [] if needed == OPEN else [{name: []} for name in schemes]
            if needed != OPEN:
                operation["x-scope"] = needed
                operation["responses"] = {**problems(401, 403, 429), **operation["responses"]}
    return paths


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
