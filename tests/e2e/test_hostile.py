"""What an attacker sends, over real HTTP to the whole stack: refused by a 4xx or taken for what it is, never a 5xx."""

import base64
import gzip
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from functions.serve import openapi
from infra.local import dev_keys
from infra.local.stack import Stack
from tests.support.keys import bearer, key_for
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("stack", ["nats"], indirect=True)

DOCUMENT = openapi.document()
# Each would do something to a statement, a path, a header or a template that it is pasted into.
PAYLOADS = (
    "' OR '1'='1",
    "'); DROP TABLE raw_events; --",
    "1 UNION ALL SELECT name FROM system.tables",
    "{x:String}",
    "\\' OR 1=1 --",
    "`raw_events`",
    "$(id)`id`|id;id",
    "${jndi:ldap://127.0.0.1/a}",
    "../../../../etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "{{7*7}}<script>alert(1)</script>",
    "\x00\x01\r\nX-Injected: yes",
    "é\u202e\ufeff🙂",
    "A" * 5_000,
)
# Of what the machine has and no answer may hold.
LEAKED = ("root:x:0", "Traceback", "DB::Exception", "clickhouse_connect", "site-packages")
PATHS = ("a'b", "a`b", "a) OR 1=1 --", "a.'||(SELECT 1)||'", "$.a", "a[0]", "..", "a\x00b", "{p:String}", "a" * 300)
KEPT = {"event_type": "hostile", "event_name": "kept", "platform": "server"}


def reading() -> list[tuple[str, list[str]]]:
    """Each path that is read, with the names of its parameters."""
    found = []
    for path, methods in DOCUMENT["paths"].items():
        if "get" in methods:
            given = [*methods.get("parameters", ()), *methods["get"].get("parameters", ())]
            resolved = [_resolved(one) for one in given]
            found.append((path, [one["name"] for one in resolved if one["in"] == "query"]))
    return found


def _resolved(parameter: dict[str, Any]) -> dict[str, Any]:
    reference = parameter.get("$ref")
    return DOCUMENT["components"]["parameters"][reference.rsplit("/", 1)[1]] if reference else parameter


@pytest.fixture
def weir(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.base_url, timeout=30) as client:
        yield client


def ask(weir: httpx.Client, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    headers = {**bearer(key_for(method, path)), **more.pop("headers", {})}
    return weir.request(method, path, headers=headers, **more)


def harmless(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (str(answer.request.url)[:300], answer.text[:500])
    assert "x-injected" not in answer.headers
    assert not [word for word in LEAKED if word in answer.text]
    if answer.status_code >= 400 and answer.content:
        assert answer.headers["content-type"].startswith("application/problem+json")


def stored(weir: httpx.Client, **more: Any) -> dict[str, Any]:
    """An event that is there, as it is read."""
    event = {**KEPT, "event_id": str(uuid.uuid4()), **more}
    answer = ask(weir, "/api/v1/events", "POST", json=event, params={"wait": "stored"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["event"])


@pytest.mark.parametrize(("path", "names"), reading(), ids=lambda given: given if isinstance(given, str) else "")
def test_nothing_is_injected_through_a_parameter(weir: httpx.Client, path: str, names: list[str]) -> None:
    fitting = path.replace("{", "").replace("}", "")
    for name in names:
        for payload in PAYLOADS:
            harmless(ask(weir, fitting, params={name: payload}))
    for payload in PAYLOADS[:6]:
        harmless(ask(weir, fitting, params={payload: "1"}))


@pytest.mark.parametrize("path", [path for path, _ in reading() if "{" in path])
def test_nothing_is_injected_through_a_path(weir: httpx.Client, path: str) -> None:
    for payload in PAYLOADS:
        before, _, rest = path.partition("{")
        harmless(ask(weir, before + quote(payload[:500], safe="") + rest.partition("}")[2]))


def test_nothing_is_injected_through_the_name_of_a_field(weir: httpx.Client) -> None:
    for path in PATHS:
        for name in (f"properties.{path}", f"context.{path}", f"properties.{path}[gte]", f"properties.a[{path}]"):
            for value in ("1", "' OR '1'='1"):
                harmless(ask(weir, "/api/v1/events", params={name: value}))
        harmless(ask(weir, "/api/v1/events", params={"fields": f"event_id,properties.{path}"}))


def test_nothing_is_injected_through_a_header(weir: httpx.Client) -> None:
    names = ("Authorization", "X-Api-Key", "Idempotency-Key", "X-Request-Id", "If-None-Match", "Accept", "Content-Type",
             "Content-Encoding", "X-Forwarded-For", "X-Forwarded-Host", "Origin", "User-Agent", "Cookie")  # fmt: skip
    for name in names:
        for payload in PAYLOADS[::2]:
            value = payload.replace("\r\n", " ").replace("\x00", " ").encode("utf-8", "replace")
            for method, path, more in (("GET", "/api/v1/events", {}), ("POST", "/api/v1/events", {"json": KEPT})):
                try:
                    harmless(ask(weir, path, method, headers={name: value}, **more))
                except httpx.LocalProtocolError:
                    continue  # no client can send it


def test_a_filter_finds_what_it_says_and_no_more_and_the_tables_are_still_there(weir: httpx.Client) -> None:
    one = stored(weir, properties={"it's": "' OR '1'='1", "n": 7})
    for params in ({"event_name": "' OR '1'='1"}, {"properties.n": "7 OR 1=1"}, {"user_id": "x' OR 1=1 --"}):
        assert ask(weir, "/api/v1/events", params=params).json()["events"] == []
    found = ask(weir, "/api/v1/events", params={"event_id": one["event_id"], "properties.it's": "' OR '1'='1"}).json()
    assert [event["event_id"] for event in found["events"]] == [one["event_id"]]
    assert found["events"][0]["properties"] == one["properties"]


def bombs() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Small bodies that become large or deep."""
    yield "zeros", gzip.compress(b"0" * (17 << 20)), {}
    yield "spaces before an event", gzip.compress(b" " * (17 << 20) + json.dumps(KEPT).encode()), {}
    yield "twice gzip", gzip.compress(gzip.compress(b"0" * (64 << 20))), {}
    yield "many members", gzip.compress(b"[") * 100_000, {}
    yield "cut gzip", gzip.compress(json.dumps(KEPT).encode())[:-4], {}
    yield "says gzip and is not", b"{}", {"Content-Encoding": "gzip"}
    yield "says deflate", b"x\x9c\x03\x00\x00\x00\x00\x01", {"Content-Encoding": "deflate"}
    yield "deep lists", b"[" * 200_000 + b"]" * 200_000, {}
    yield "deep objects", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, {}
    yield "deep properties", json.dumps(KEPT)[:-1].encode() + b',"properties":' + b'{"a":' * 500 + b"1" + b"}" * 501, {}
    yield "a long number", b'{"n":' + b"9" * 1_000_000 + b"}", {}
    yield "many keys", json.dumps({str(n): n for n in range(100_000)}).encode(), {}
    yield "the same key", b"{" + b",".join([b'"event_type":"t"'] * 100_000) + b"}", {}
    yield "too large", b"a" * ((4 << 20) + 1), {}
    yield "too many events", b"[" + b",".join([b"{}"] * 5_001) + b"]", {}
    yield "bad UTF-8", b'{"event_type":"\xff\xfe"}', {}
    yield "nothing", b"", {}


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/batch"])
@pytest.mark.parametrize(("body", "headers"), [pytest.param(b, h, id=name) for name, b, h in bombs()])
def test_a_body_that_explodes_is_refused(weir: httpx.Client, path: str, body: bytes, headers: dict[str, str]) -> None:
    answer = ask(weir, path, "POST", content=body, headers={"Content-Type": "application/json", **headers})
    harmless(answer)
    assert 400 <= answer.status_code < 500, answer.text[:300]


def raw(stack: Stack, request: bytes) -> bytes:
    """The first bytes of the answer to whatever is sent, well-formed or not."""
    address = urlsplit(stack.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        try:
            connection.sendall(request)
            return connection.recv(65_536)
        except (ConnectionError, TimeoutError):
            return b""


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/docs/../../../etc/passwd",
     "/openapi.json/../../etc/passwd", "//etc/passwd", "/api/v1/events/..%2f..%2fetc%2fpasswd", "/docs%00.html",
     "/.weir/keys.json", "/.env", "/api/v1/../../metrics", "/restapis", "/2015-03-31/functions", "/_localstack/health"],
)  # fmt: skip
def test_no_path_leads_out_of_the_api(stack: Stack, path: str) -> None:
    answer = raw(
        stack, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ak_local\r\nConnection: close\r\n\r\n".encode()
    )
    status = int(answer.split(b" ", 2)[1]) if answer else 400
    assert 400 <= status < 500, answer[:300]
    assert b"root:x:0" not in answer


GET, POST = b"GET /health HTTP/1.1\r\nHost: x\r\n", b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n"
NO_REQUESTS = {
    "many": GET + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)),
    "long": GET + b"X-Long: " + b"a" * 2_000_000,
    "long address": b"GET /health?" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: x",
    "the same": GET + b"Host: x\r\n" * 5_000,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 50",
    "smuggled": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "negative length": POST + b"Content-Length: -1",
    "endless": POST + b"Content-Length: 99999999999999999999",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
    "no HTTP": b"GET /health SMTP/9\r\nHost: x",
}


@pytest.mark.parametrize("request_", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_a_flood_of_headers_and_what_is_no_request_is_cut_off_and_others_are_served(
    stack: Stack, weir: httpx.Client, request_: bytes
) -> None:
    answer = raw(stack, request_ + b"\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:300]
    assert weir.get("/health").status_code == 200


@contextmanager
def listening() -> Iterator[tuple[int, list[Any]]]:
    """A server that writes down who connects."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                came.append(address)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], came


def test_no_address_that_a_client_chose_is_asked(weir: httpx.Client) -> None:
    with listening() as (port, came):
        url = f"http://127.0.0.1:{port}/a"
        context = {
            "ip": "127.0.0.1", "page": {"url": url, "referrer": url}, "user_agent": url,
            "library": {"name": url}, "campaign": {"source": url}, "$schema": url, "schema_version": url,
        }  # fmt: skip
        one = stored(weir, event_name=url, context=context, properties={"url": url, "$ref": url})
        assert one["page"]["url"] == url
        headers = {"X-Forwarded-For": url, "X-Forwarded-Host": f"127.0.0.1:{port}", "Origin": url, "Referer": url}
        harmless(ask(weir, "/api/v1/events", params={"event_name": url}, headers=headers))
        answer = ask(weir, f"/api/v1/events/{quote(url, safe='')}")
        harmless(answer)
        assert "location" not in answer.headers
        # It is found, so everything that reads it has done so.
        until(lambda: ask(weir, f"/api/v1/events/{one['event_id']}/trace").status_code == 200, 20, "a trace")
        assert came == []


def replayed(weir: httpx.Client) -> str:
    """A cursor that was given."""
    params = {"event_type": "hostile", "limit": 1}
    stored(weir)
    stored(weir)
    return str(ask(weir, "/api/v1/events", params=params).json()["next_cursor"])


def forged(cursor: str) -> Iterator[str]:
    yield from ("", "x", "=", "a" * 399, "a" * 401, "ä", "../../etc/passwd", "' OR 1=1", cursor[:-1], cursor + "A")
    packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    check, body = packed[:9], json.loads(packed[9:])
    for changed in ([body[0], body[1] + 1, body[2]], [2, *body[1:]], [*body[:2], "x' OR 1=1"], [], {}, None, [[[]]]):
        yield base64.urlsafe_b64encode(check + json.dumps(changed).encode()).decode().rstrip("=")
    for place in range(0, len(packed), 5):
        flipped = bytes([*packed[:place], packed[place] ^ 1, *packed[place + 1 :]])
        yield base64.urlsafe_b64encode(flipped).decode().rstrip("=")


def test_a_forged_cursor_is_refused(weir: httpx.Client) -> None:
    cursor = replayed(weir)
    params = {"event_type": "hostile", "limit": 1}
    assert ask(weir, "/api/v1/events", params={**params, "cursor": cursor}).status_code == 200
    for other in forged(cursor):
        if other:
            answer = ask(weir, "/api/v1/events", params={**params, "cursor": other})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), other
    for path in ("/api/v1/sessions", f"/api/v1/users/{uuid.uuid4()}/journey"):
        answer = ask(weir, path, params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_a_cursor_of_another_query_or_environment_is_refused(weir: httpx.Client) -> None:
    cursor = replayed(weir)
    own = {"event_type": "hostile"}
    for other in (
        {},
        {"event_type": "x"},
        {**own, "order": "asc"},
        {**own, "source": "raw"},
        {**own, "properties.a": "1"},
    ):
        answer = ask(weir, "/api/v1/events", params={**other, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), other
    params = {"event_type": "hostile", "limit": 1, "cursor": cursor}
    answer = ask(weir, "/api/v1/events", params=params, headers=bearer(dev_keys.TEST_READ))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
