"""One request through the door: find its route, take its body, ask the emulator, hand the answer back."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from infra.local.exposition import CONTENT_TYPE

from . import cors
from .gate import Gate, Overloaded
from .inflate import MAGIC, Damaged, TooLarge, inflate
from .problems import problem
from .routes import Match
from .upstream import Upstream, UpstreamFile

log = logging.getLogger("front_door")

# Below this, inflating takes less than handing the work to a thread.
_INFLATE_HERE_BYTES = 32 * 1024
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "expect", "host", "content-length"}
    | {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
)
# The emulator's own, of no use to a client; the length is that of the body as it is sent on.
_NOT_SENT_BACK = frozenset(["connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"])
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(frozen=True)
class Limits:
    """Sizes of a request's body, and how long it may take to come."""

    request_bytes: int
    inflated_bytes: int
    body_seconds: float = 30.0


class Refused(Exception):
    """The door answers itself."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class Door:
    """Handles the requests of all clients over one pool of connections to the emulator."""

    def __init__(
        self,
        upstream: UpstreamFile,
        session: aiohttp.ClientSession,
        limits: Limits,
        gates: Mapping[str, Gate],
        metrics: Path | None = None,
    ) -> None:
        """Take one gate a function, and `waiting` for the requests that ask to wait until their event is stored."""
        self._upstream, self._session, self._limits, self._gates = upstream, session, limits, gates
        self._metrics = metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = _request_id(request)
        try:
            response = await self._answer(request, request_id)
        except Refused as refused:
            response = problem(refused.status, refused.detail, request_id, **refused.headers)
        except Overloaded:
            response = problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are under way", request_id)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            response = problem(HTTPStatus.SERVICE_UNAVAILABLE, "the functions do not answer", request_id)
        except web.RequestPayloadError as error:
            response = problem(HTTPStatus.BAD_REQUEST, f"the body cannot be read: {error}", request_id)
        response.headers.setdefault("X-Request-Id", request_id)
        cors.expose(response)
        return response

    async def _answer(self, request: web.BaseRequest, request_id: str) -> web.Response:
        upstream = self._upstream.current()
        if upstream.url is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the functions are being started")
        path = request.rel_url.raw_path.rstrip("/") or "/"
        if path == "/metrics" and self._metrics is not None:
            return _exposed(self._metrics)
        match = upstream.routes.find(path)
        if match is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no path {path}")
        if request.method == "OPTIONS":
            return cors.preflight(match.allow)
        method = "GET" if request.method == "HEAD" else request.method
        if method not in match.methods:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes {match.allow}", Allow=match.allow)
        body, inflated = await self._body(request)
        headers = _onward(request, request_id, inflated)
        url = _target(upstream, path, request.rel_url.raw_query_string)
        async with self._gate(request, match, method).turn():
            return await self._ask(method, url, headers, body, request_id)

    def _gate(self, request: web.BaseRequest, match: Match, method: str) -> Gate:
        return self._gates["waiting" if "wait" in request.query else match.methods[method]]

    async def _body(self, request: web.BaseRequest) -> tuple[bytes, bool]:
        """The body, and whether it came as gzip."""
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._received(request)
        except TimeoutError:
            raise _too_slow(self._limits.body_seconds) from None
        if not body.startswith(MAGIC):
            return body, False
        limit = self._limits.inflated_bytes
        try:
            if len(body) < _INFLATE_HERE_BYTES:
                return inflate(body, limit), True
            return await asyncio.to_thread(inflate, body, limit), True
        except TooLarge:
            detail = f"the body inflates to more than {limit} bytes (limit inflated_bytes)"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from None
        except Damaged as damage:
            raise Refused(HTTPStatus.BAD_REQUEST, str(damage)) from None

    async def _received(self, request: web.BaseRequest) -> bytes:
        limit = self._limits.request_bytes
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        parts: list[bytes] = []
        size = 0
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
        return b"".join(parts)

    async def _ask(
        self, method: str, url: URL, headers: CIMultiDict[str], body: bytes, request_id: str
    ) -> web.Response:
        async with self._session.request(
            method, url, headers=headers, data=body or None, skip_auto_headers=_AUTOMATIC, allow_redirects=False
        ) as answer:
            content = await answer.read()
        # The functions name the request in each answer, the emulator does so in none of its own.
        if answer.status >= HTTPStatus.BAD_REQUEST and "X-Request-Id" not in answer.headers:
            return _emulator_failed(answer, content, request_id)
        response = web.Response(status=answer.status, body=content)
        # The answer's own type, or none: aiohttp would else say that it is a download.
        response.headers.popall("Content-Type", None)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_SENT_BACK and not name.lower().startswith("x-amz"):
                response.headers.add(name, value)
        return response


def _exposed(file: Path) -> web.Response:
    """What a Prometheus server asks for."""
    text = file.read_text() if file.exists() else ""
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _request_id(request: web.BaseRequest) -> str:
    """The client's own id where it fits in a log line, else a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _too_large(limit: int) -> Refused:
    # Closed, since what the client still sends is not read.
    detail = f"the request has more than {limit} bytes (limit request_bytes)"
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, Connection="close")


def _too_slow(seconds: float) -> Refused:
    detail = f"the body did not come within {seconds:g} s"
    return Refused(HTTPStatus.REQUEST_TIMEOUT, detail, Connection="close")


def _target(upstream: Upstream, path: str, query: str) -> URL:
    return URL(f"{upstream.url}{path}?{query}" if query else f"{upstream.url}{path}", encoded=True)


def _onward(request: web.BaseRequest, request_id: str, inflated: bool) -> CIMultiDict[str]:
    headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP)
    if inflated or headers.get("Content-Encoding", "").lower() in {"gzip", "x-gzip"}:
        headers.popall("Content-Encoding", None)
    headers["X-Request-Id"] = request_id
    # As on AWS, the function learns the address of the connection, not one that the client claims.
    headers["X-Forwarded-For"] = request.remote or "127.0.0.1"
    headers["X-Forwarded-Host"] = request.host
    headers["X-Forwarded-Proto"] = "http"
    return headers


def _emulator_failed(answer: aiohttp.ClientResponse, content: bytes, request_id: str) -> web.Response:
    """An error that is not the function's own: it crashed, timed out, or could not be started."""
    log.warning("the emulator answered %d: %s", answer.status, content[:500].decode(errors="replace"))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return problem(HTTPStatus.TOO_MANY_REQUESTS, "too many requests are under way", request_id)
    if answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        detail = "send application/json, application/x-ndjson or text/plain (curl needs -H 'Content-Type: …')"
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, request_id)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the function failed; its log says why", request_id)
