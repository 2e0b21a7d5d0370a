"""The functions' handlers in this process, behind a transport that does what API Gateway does to a request."""

import base64
import gzip
import re
from collections.abc import Iterable
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

# BinaryMediaTypes of the template.
_BINARY = {"application/gzip"}
_CONTEXT = SimpleNamespace(aws_request_id="in-process", function_name="in-process")


class NoHandler(AssertionError):
    """What was asked for has no route, so no handler was tried."""


class InProcess(httpx.BaseTransport):
    """Answers by the handler of the route. What has no route never reaches a handler, and is no test of one."""

    def __init__(self, routes: Iterable[tuple[str, str, str]]) -> None:
        """Take method, path and function of each route."""
        self._routes = [(method, path, _pattern(path), stage) for method, path, stage in routes]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = request.url.raw_path.decode().partition("?")[0].rstrip("/") or "/"
        for method, resource, pattern, stage in sorted(self._routes, key=lambda route: "{" in route[1]):
            if method == request.method and (match := pattern.fullmatch(sent)):
                parameters = {name: unquote(value) for name, value in match.groupdict().items()}
                app = import_module(f"functions.{stage}.app").app
                return _response(app(_event(request, sent, resource, parameters), _CONTEXT))
        raise NoHandler(f"no handler for {request.method} {sent}")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _event(request: httpx.Request, path: str, resource: str, parameters: dict[str, str]) -> dict[str, Any]:
    query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
    headers = {name.title(): value for name, value in request.headers.items()}
    body, encoded = _body(request.read(), headers)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": {name: [v for n, v in query if n == name] for name, _ in query} or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "path": path,
            "httpMethod": request.method,
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def _body(body: bytes, headers: dict[str, str]) -> tuple[str | None, bool]:
    """As the gateway hands it over: declared gzip inflated, binary types in base64, all else taken for text."""
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
        del headers["Content-Encoding"]
    if headers.get("Content-Type") in _BINARY:
        return base64.b64encode(body).decode(), True
    return body.decode(errors="replace") if body else None, False


def _response(answer: dict[str, Any]) -> httpx.Response:
    body = answer["body"]
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    many = answer.get("multiValueHeaders") or {}
    headers = [*answer["headers"].items(), *((name, value) for name, values in many.items() for value in values)]
    return httpx.Response(answer["statusCode"], headers=headers, content=content)
