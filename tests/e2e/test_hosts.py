"""The same API on every host: each route is answered, and the hosts differ in what docs/hosts.md says and no more."""

import gzip
import json
import uuid
from typing import Any

import httpx
import pytest

from infra.local.paths import ROOT
from infra.local.stack import Stack
from tests.e2e.hosts import on_every_host, on_three_hosts

BATCH, EVENTS, JSON = "/api/v1/events/batch", "/api/v1/events", "application/json"
EVENT = json.dumps({"event_type": "page_view", "event_name": "Home", "platform": "web"}).encode()
PACKED = gzip.compress(b"[" + EVENT + b"]")
NOT_TESTED = "—"
COLUMNS = {"laptop": 1, "sam": 2, "process": 3}

Sent = tuple[str, str, dict[str, Any]]
CASES: dict[str, Sent] = {
    "gzip, declared by Content-Encoding": (
        "POST",
        BATCH,
        {"content": PACKED, "headers": {"Content-Type": JSON, "Content-Encoding": "gzip"}},
    ),
    "gzip, as application/gzip": ("POST", BATCH, {"content": PACKED, "headers": {"Content-Type": "application/gzip"}}),
    "gzip, declared by nothing": ("POST", BATCH, {"content": PACKED, "headers": {"Content-Type": JSON}}),
    "bytes that are no text": ("POST", EVENTS, {"content": b"\xff\xfe{", "headers": {"Content-Type": JSON}}),
    "CORS preflight": (
        "OPTIONS",
        EVENTS,
        {"headers": {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}},
    ),
    "trailing slash": ("GET", "/health/", {}),
    "a parameter given twice": ("GET", f"{EVENTS}?event_type=a&event_type=b", {}),
    "HEAD": ("HEAD", "/health", {}),
    "unknown path": ("GET", "/nowhere", {}),
    "unknown method": ("DELETE", "/health", {}),
    "dry run": ("POST", f"{EVENTS}?dry_run=true", {"content": EVENT, "headers": {"Content-Type": JSON}}),
}


def documented() -> dict[str, list[str]]:
    """The rows of the table, by their first cell."""
    lines = [line for line in (ROOT / "docs" / "hosts.md").read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in rows[1:]}


def test_each_documented_difference_is_tested() -> None:
    assert list(documented()) == list(CASES)


@on_three_hosts
@pytest.mark.parametrize("name", CASES)
def test_a_host_does_what_is_documented_of_it(client: httpx.Client, host: str, name: str) -> None:
    said = documented()[name][COLUMNS[host]]
    if said == NOT_TESTED:
        return
    method, path, sent = CASES[name]
    answer = client.request(method, path, **sent)
    assert (name, answer.status_code) == (name, int(said)), answer.text
    if name == "CORS preflight":
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]


@on_every_host
def test_each_route_of_the_template_is_answered_by_its_function(client: httpx.Client, stack: Stack) -> None:
    assert stack.functions is not None
    some = str(uuid.UUID(int=1))
    routes = stack.functions.routes()
    assert len(routes) > 15
    for method, path, _ in routes:
        for name in ("event_id", "batch_id", "session_id", "user_id", "name"):
            path = path.replace(f"{{{name}}}", some)
        body = {"content": b"[]", "headers": {"Content-Type": JSON}} if method == "POST" else {}
        answer = client.request(method, path, **body)
        assert answer.status_code < 500, (method, path, answer.text)
        assert answer.headers["x-request-id"], (method, path)
