"""No route is reachable without the right scope: each route x each key, however the key is sent."""

import base64
import itertools
import json
import logging
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from functions.collect import views as collect_views
from functions.shared import wiring
from functions.shared.access import LIVE_ONLY, OPEN, SCOPES
from functions.shared.adapters.keys_memory import MemoryKeys
from functions.shared.domain import key_document
from functions.shared.domain.keys import Digest, Key, hash_of
from functions.shared.errors import StoreUnavailable
from functions.shared.gate import Gate
from functions.shared.key_cache import KeyCache
from functions.shared.throttle import Throttle
from tests.support.limits import FakeCounters, ignored

NOW = 1_767_225_600_000_000_000
PAST = "2025-01-01T00:00:00Z"
ROUTES = sorted(SCOPES)
STAGES = ("collect", "serve")
SCOPE_NAMES = ("write", "read", "admin")


def made(token: str, environment: str, *scopes: Any, expires_at: str = "", **more: Any) -> Key:
    digest = Digest(hash_of(token).hex(), expires_at)
    return Key(key_id=f"{environment}_{token.replace('-', '_')}", scopes=scopes, digests=(digest,), **more)


KEYS = [
    *(made(f"{where}-{scope}", where, scope) for where in ("live", "test") for scope in SCOPE_NAMES),
    made("revoked", "live", *SCOPE_NAMES, revoked_at=PAST),
    made("expired", "live", *SCOPE_NAMES, expires_at=PAST),
    made("nothing", "live"),
    made("everything", "live", *SCOPE_NAMES),
    made("page", "live", *SCOPE_NAMES, origins=("https://shop.test",)),
    made("slow", "live", *SCOPE_NAMES, requests_per_second=1),
]


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> MemoryKeys:
    """The gate over these keys, and services that are away: what is let in is answered 503."""
    kept = MemoryKeys(key_document.write(KEYS))
    gate = Gate(KeyCache(kept, lambda: NOW, lambda _: None), Throttle(FakeCounters(), lambda: NOW, ignored))

    def away(*_: Any) -> Any:
        raise StoreUnavailable("Away.")

    monkeypatch.setattr(wiring, "gate", lambda _: gate)
    monkeypatch.setattr(collect_views, "gate", lambda _: gate)
    monkeypatch.setattr(collect_views, "collect_service", away)
    for name in ("service", "analytics", "identities", "replays"):
        monkeypatch.setattr(f"functions.serve.app.{name}", away)
    return kept


def asked(
    route: tuple[str, str], headers: dict[str, list[str]] | None = None, query: dict[str, list[str]] | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What the function of the route answers: status, body and headers."""
    method, path = route
    stage = next(one for one in STAGES if method in import_module(f"functions.{one}.app").app.routes.get(path, {}))
    names = re.findall(r"{(\w+)}", path)
    event = {
        "resource": path,
        "path": re.sub(r"{\w+}", "x", path),
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in (headers or {}).items()},
        "multiValueHeaders": headers or {},
        "multiValueQueryStringParameters": query,
        "pathParameters": dict.fromkeys(names, "x") or None,
        "stageVariables": None,
        "requestContext": {"resourcePath": path, "path": path, "httpMethod": method, "identity": {}},
        "body": "{}" if method == "POST" else None,
        "isBase64Encoded": False,
    }
    if method == "POST":
        event["headers"] = {**event["headers"], "Content-Type": "application/json"}
    answer = import_module(f"functions.{stage}.app").app(event, None)
    body = answer["body"]
    return answer["statusCode"], json.loads(body) if body.startswith("{") else {}, answer["headers"]


def code(
    route: tuple[str, str], headers: dict[str, list[str]] | None = None, query: dict[str, list[str]] | None = None
) -> str:
    status, body, _ = asked(route, headers, query)
    told = body.get("code", "")
    # What is asked is no sensible question: a view that says so was reached.
    refused = status in (401, 403) or told in ("key_in_query", "keys_unavailable")
    return f"{status} {told}" if refused else "let in"


def bearer(token: str) -> dict[str, list[str]]:
    return {"Authorization": [f"Bearer {token}"]}


def test_each_route_has_a_scope_and_each_scope_a_route() -> None:
    apps = [import_module(f"functions.{stage}.app").app for stage in STAGES]
    routes = {(method, path) for app in apps for path, methods in app.routes.items() for method in methods}
    assert routes == set(SCOPES)


def test_only_what_tells_nothing_is_open() -> None:
    assert {path for (_, path), needed in SCOPES.items() if needed == OPEN} == {"/health", "/docs", "/openapi.json"}


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_without_a_key_nothing_is_written_or_read(route: tuple[str, str]) -> None:
    assert code(route) == ("let in" if SCOPES[route] == OPEN else "401 key_missing")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.key_id)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_each_route_lets_in_who_has_its_scope(route: tuple[str, str], key: Key) -> None:
    token = key.key_id.partition("_")[2].replace("_", "-")
    needed = SCOPES[route]
    if needed == OPEN:
        expected = "let in"
    elif token in ("revoked", "expired"):
        expected = f"401 key_{token}"
    elif needed not in key.scopes and not (needed == "read" and "admin" in key.scopes):
        expected = "403 key_scope"
    elif route in LIVE_ONLY and key.environment == "test":
        expected = "403 key_environment"
    else:
        expected = "let in"
    assert code(route, bearer(token)) == expected


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_key_in_the_query_is_taken_for_writes_alone(route: tuple[str, str]) -> None:
    if SCOPES[route] == OPEN:
        return
    expected = "let in" if SCOPES[route] == "write" else "400 key_in_query"
    assert code(route, query={"key": ["everything"]}) == expected
    # Not even beside a good one.
    assert code(route, bearer("everything"), {"key": ["everything"]}) == expected


WRITE, READ = ("POST", "/api/v1/events"), ("GET", "/api/v1/status")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ["bearer everything"]},
        {"AUTHORIZATION": ["BEARER   everything "]},
        {"Authorization": [basic("everything:")]},
        {"Authorization": [basic("everything:pass:word")]},
        {"Authorization": [basic("everything")]},
        {"X-Api-Key": ["everything"]},
        {"x-api-key": [" everything "]},
        # The same key twice is one key.
        {"X-Api-Key": ["everything"], "Authorization": ["Bearer everything"]},
        {"Authorization": ["Bearer everything", "Bearer everything"]},
    ],
)
def test_ways_to_send_a_key(headers: dict[str, list[str]]) -> None:
    assert code(READ, headers) == "let in"
    assert code(WRITE, headers) == "let in"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": [""]}, "401 key_missing"),
        ({"Authorization": ["everything"]}, "401 key_malformed"),
        ({"Authorization": ["Bearer"]}, "401 key_malformed"),
        ({"Authorization": ["Bearer "]}, "401 key_malformed"),
        ({"Authorization": ["Digest everything"]}, "401 key_malformed"),
        ({"Authorization": ["Basic everything"]}, "401 key_malformed"),
        ({"Authorization": ["Basic !!!"]}, "401 key_malformed"),
        ({"Authorization": ["Basic " + base64.b64encode(b"\xff\xfe:x").decode()]}, "401 key_malformed"),
        ({"Authorization": [basic(":everything")]}, "401 key_malformed"),
        ({"Authorization": ["Basic \u0661"]}, "401 key_malformed"),
        ({"Authorization": ["Bearer everything\nBearer live-write"]}, "401 key_ambiguous"),
        ({"Authorization": ["Bearer everything, Bearer everything"]}, "401 key_unknown"),
        ({"Authorization": ["Bearer everything\x00"]}, "401 key_unknown"),
        ({"Authorization": ["Bearer " + "k" * 100_000]}, "401 key_unknown"),
        ({"Authorization": ["Bearer \ud800"]}, "401 key_unknown"),
        ({"Authorization": ["Bearer live-write", "Bearer everything"]}, "401 key_ambiguous"),
        ({"Authorization": ["nonsense", "Bearer everything"]}, "401 key_malformed"),
        ({"X-Api-Key": ["live-write", "everything"]}, "401 key_ambiguous"),
        ({"X-Api-Key": ["everything"], "Authorization": ["Bearer live-write"]}, "401 key_ambiguous"),
        ({"X-Api-Key": ["everything"], "Authorization": ["nonsense"]}, "401 key_malformed"),
    ],
)
def test_what_is_no_key_or_more_than_one_is_refused(headers: dict[str, list[str]], expected: str) -> None:
    assert code(READ, headers) == expected
    assert code(WRITE, headers) == expected


def test_a_write_with_two_keys_in_the_query_is_ambiguous() -> None:
    assert code(WRITE, query={"key": ["everything", "live-write"]}) == "401 key_ambiguous"
    assert code(WRITE, bearer("live-write"), {"key": ["everything"]}) == "401 key_ambiguous"
    assert code(WRITE, query={"key": [""]}) == "401 key_missing"


def test_a_refusal_says_how_to_ask_and_may_be_found_in_the_log() -> None:
    _, body, headers = asked(READ)
    assert headers["WWW-Authenticate"] == 'Bearer realm="weir"'
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-Id"] == body["request_id"]


@pytest.mark.parametrize(
    ("route", "token", "metric", "key_id"),
    [
        (WRITE, "live-read", "RequestsRefused", "live_live_read"),
        (READ, "live-write", "RequestsRefused", "live_live_write"),
        (WRITE, "revoked", "RequestsRefused", "live_revoked"),
        (READ, "expired", "RequestsRefused", "live_expired"),
        (WRITE, "slow", "RequestsLimited", "live_slow"),
        (READ, "slow", "RequestsLimited", "live_slow"),
        (WRITE, "unheard-of", "RequestsRefused", None),
        (READ, "unheard-of", "RequestsRefused", None),
    ],
)
def test_who_is_refused_is_told_by_the_id_of_a_known_key_and_is_no_dimension(
    route: tuple[str, str],
    token: str,
    metric: str,
    key_id: str | None,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    status = 0
    # Of a slow key's requests the window takes ten.
    for _ in range(11 if token == "slow" else 1):
        caplog.clear()
        capsys.readouterr()
        status, _, _ = asked(route, bearer(token))
    assert status in (401, 403, 429)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = (line for line in lines if metric in line)
    (log,) = (vars(one) for one in caplog.records if vars(one).get("status") == status)
    assert (metrics[metric], metrics.get("key_id"), log.get("key_id")) == ([1.0], key_id, key_id)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


@pytest.mark.parametrize("route", [WRITE, READ])
@pytest.mark.parametrize(
    ("origins", "lets_in"),
    [
        ([], True),
        (["https://shop.test"], True),
        (["HTTPS://shop.TEST"], True),
        (["https://shop.test.evil.test"], False),
        (["https://evil.test/https://shop.test"], False),
        (["http://shop.test"], False),
        (["https://shop.test:8443"], False),
        (["null"], False),
        (["https://evil.test", "https://shop.test"], False),
    ],
)
def test_a_page_may_use_a_key_that_lists_its_origin(route: tuple[str, str], origins: list[str], lets_in: bool) -> None:
    given = {"Origin": origins} if origins else {}
    assert code(route, {**bearer("page"), **given}) == ("let in" if lets_in else "403 origin_refused")
    assert code(route, {**bearer("everything"), **given}) == "let in"


def test_without_any_keyring_nobody_is_let_in_and_all_are_told_to_come_again(source: MemoryKeys) -> None:
    source.available = False
    for route in ROUTES:
        status, body, headers = asked(route, bearer("everything"))
        if SCOPES[route] == OPEN:
            assert status == 200
        else:
            assert (status, body["code"], headers["Retry-After"]) == (503, "keys_unavailable", "2")


def test_a_route_that_nobody_declared_is_open_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SCOPES, READ)  # type: ignore[arg-type]
    assert code(READ, bearer("everything")) == "403 key_scope"
    assert code(READ) == "401 key_missing"


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    caplog.set_level(logging.DEBUG)

    def text() -> str:
        out, err = capfd.readouterr()
        return out + err + "".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)

    return text


def test_keys_never_appear_in_logs_or_answers(written: Any) -> None:
    tokens = ["everything", "revoked", "unheard-of-token"]
    answers = []
    for token, route in itertools.product(tokens, ROUTES):
        secret = f"{token}" if token != "unheard-of-token" else token
        for headers, query in (
            (bearer(secret), None),
            ({"Authorization": [basic(secret + ":x")]}, None),
            ({"X-Api-Key": [secret]}, None),
            ({}, {"key": [secret]}),
            ({"Authorization": [secret]}, {"key": [secret]}),
        ):
            answers.append(repr(asked(route, headers, query)))
    told = written() + "".join(one for one in answers if "openapi" not in one)
    assert not [token for token in ("everything", "unheard-of-token") if token in told]
    digests = [hash_of(token).hex() for token in tokens]
    assert not [digest for digest in digests if digest in told]
