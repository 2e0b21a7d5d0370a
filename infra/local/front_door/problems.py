"""The front door's own refusals, as RFC 9457 problems."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web

RETRY_SECONDS = "1"
_RETRYABLE = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def problem(status: HTTPStatus, detail: str, request_id: str, **headers: str) -> web.Response:
    """An answer that says what was wrong, and whether a resend helps."""
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
    }
    if status in _RETRYABLE:
        headers["Retry-After"] = RETRY_SECONDS
    return web.Response(
        status=status, body=json.dumps(content).encode(), headers=headers, content_type="application/problem+json"
    )
