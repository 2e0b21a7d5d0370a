"""The front door as clients meet it, before an API that answers as the test says."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from infra.local.front_door import upstream
from infra.local.front_door.door import Door, Limits
from infra.local.front_door.gate import Gate
from infra.local.front_door.patience import HastyServer
from infra.local.front_door.upstream import UpstreamFile

LIMITS = Limits(request_bytes=1_000, inflated_bytes=2_000, body_seconds=1.0)
HEADERS_SECONDS = 0.5
ROUTES = [("POST", "/api/v1/events", "collect"), ("GET", "/api/v1/events", "serve"), ("GET", "/health", "serve")]
JSON = {"Content-Type": "application/json"}
Api = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def echo(request: web.Request) -> web.StreamResponse:
    """An API that tells what reached it."""
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "body": (await request.read()).decode("latin-1"),
        "headers": {name.lower(): value for name, value in request.headers.items()},
    }
    return web.json_response(seen, headers={"x-amzn-requestid": "emulator's", "Set-Cookie": "a=b"})


@asynccontextmanager
async def a_door(
    folder: Path, api: Api = echo, url: str | None = ""
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """The door's URL and a client; `url` is where the door believes the API to be."""
    async with aiohttp.ClientSession(auto_decompress=False) as session, aiohttp.ClientSession() as client:
        behind, at = await _listen(web.Server(api, auto_decompress=False))  # type: ignore[arg-type]
        upstream.write(folder / "upstream.json", f"{at}/stage" if url == "" else url, ROUTES)
        gates = {name: Gate(2, 10, 5) for name in ("collect", "serve", "waiting")}
        door = Door(UpstreamFile(folder / "upstream.json"), session, LIMITS, gates)
        front, base = await _listen(
            HastyServer(door.handle, HEADERS_SECONDS, auto_decompress=False, lingering_time=0.5)
        )
        try:
            yield base, client
        finally:
            await front.cleanup()
            await behind.cleanup()


async def _listen(server: web.Server[Any]) -> tuple[web.ServerRunner, str]:
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def ask(folder: Path, method: str, path: str, api: Api = echo, url: str | None = "", **options: Any) -> Answer:
    async with (
        a_door(folder, api, url) as (base, client),
        client.request(method, URL(base + path, encoded=True), **options) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


def run(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    answer = asyncio.run(coroutine)
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer


def assert_problem(answer: Answer, status: int, word: str) -> None:
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert content["request_id"] == answer.headers["X-Request-Id"]
    assert word in content["detail"]
    assert ("Retry-After" in answer.headers) == (status in {429, 503})


def test_a_request_reaches_the_api_and_its_answer_comes_back(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "POST", "/api/v1/events?key=a%2Fb&x=1", data=b"{}", headers=JSON))
    seen = answer.json()
    assert (answer.status, seen["method"], seen["path"]) == (200, "POST", "/stage/api/v1/events?key=a%2Fb&x=1")
    assert seen["body"] == "{}"
    assert "x-amzn-requestid" not in answer.headers
    assert answer.headers["Set-Cookie"] == "a=b"


@pytest.mark.parametrize("claimed", [{}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}])
def test_gzip_is_known_by_its_first_bytes(tmp_path: Path, claimed: dict[str, str]) -> None:
    answer = run(ask(tmp_path, "POST", "/api/v1/events", data=gzip.compress(b"hello"), headers=claimed | JSON))
    seen = answer.json()
    assert seen["body"] == "hello"
    assert seen["headers"]["content-length"] == "5"
    assert "content-encoding" not in seen["headers"]


def test_what_claims_to_be_gzip_and_is_not_goes_on_as_it_is(tmp_path: Path) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    answer = run(ask(tmp_path, "POST", "/api/v1/events", data=b"[1]", headers=headers))
    assert answer.json()["body"] == "[1]"
    assert "content-encoding" not in answer.json()["headers"]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_as_sent(tmp_path: Path, chunked: bool) -> None:
    async def parts(size: int) -> AsyncIterator[bytes]:
        yield b"a" * (size - 1)
        yield b"a"

    def post(size: int) -> Answer:
        return run(ask(tmp_path, "POST", "/api/v1/events", data=parts(size) if chunked else b"a" * size))

    assert post(LIMITS.request_bytes).status == 200
    assert_problem(post(LIMITS.request_bytes + 1), 413, "request_bytes")


def test_the_limit_inflated(tmp_path: Path) -> None:
    def post(size: int) -> Answer:
        return run(ask(tmp_path, "POST", "/api/v1/events", data=gzip.compress(b"a" * size)))

    assert post(LIMITS.inflated_bytes).status == 200
    assert_problem(post(LIMITS.inflated_bytes + 1), 413, "inflated_bytes")


def test_gzip_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "POST", "/api/v1/events", data=gzip.compress(b"hello")[:-4]))
    assert_problem(answer, 400, "ends too early")


def test_a_trailing_slash_makes_no_difference(tmp_path: Path) -> None:
    assert run(ask(tmp_path, "GET", "/api/v1/events/?a=b")).json()["path"] == "/stage/api/v1/events?a=b"


def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "HEAD", "/health"))
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


def test_an_unknown_path(tmp_path: Path) -> None:
    assert_problem(run(ask(tmp_path, "GET", "/nope")), 404, "/nope")


def test_a_wrong_method(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "DELETE", "/api/v1/events"))
    assert_problem(answer, 405, "POST")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_browser_may_ask_first(tmp_path: Path) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = run(ask(tmp_path, "OPTIONS", "/api/v1/events", headers=headers))
    assert answer.status == 204
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]


def test_the_clients_request_id_goes_all_the_way(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "GET", "/health", headers={"X-Request-Id": "mine-1"}))
    assert answer.headers["X-Request-Id"] == "mine-1"
    assert answer.json()["headers"]["x-request-id"] == "mine-1"


def test_an_id_that_would_break_a_log_is_replaced(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "GET", "/health", headers={"X-Request-Id": "a b\u00e9" * 100}))
    assert answer.json()["headers"]["x-request-id"] == answer.headers["X-Request-Id"]
    assert len(answer.headers["X-Request-Id"]) == 36


def test_a_client_cannot_claim_another_address(tmp_path: Path) -> None:
    answer = run(ask(tmp_path, "GET", "/health", headers={"X-Forwarded-For": "8.8.8.8"}))
    assert answer.json()["headers"]["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9/stage"], ids=["not deployed", "nobody there"])
def test_an_api_that_is_away(tmp_path: Path, url: str | None) -> None:
    assert_problem(run(ask(tmp_path, "GET", "/health", url=url)), 503, "functions")


def test_a_function_that_crashed_is_a_503(tmp_path: Path) -> None:
    async def crashed(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"message": "Worker process died"}, status=502)

    answer = run(ask(tmp_path, "GET", "/health", crashed))
    assert_problem(answer, 503, "failed")
    assert b"Worker" not in answer.body


def test_a_throttled_function_is_a_429(tmp_path: Path) -> None:
    async def throttled(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"Reason": "x"}, status=429)

    assert_problem(run(ask(tmp_path, "GET", "/health", throttled)), 429, "too many")


def test_the_functions_own_problem_is_handed_on(tmp_path: Path) -> None:
    async def refused(_: web.BaseRequest) -> web.StreamResponse:
        headers = {"Content-Type": "application/problem+json", "Retry-After": "7", "X-Request-Id": "its-own"}
        return web.Response(status=503, body=b'{"own": true}', headers=headers)

    answer = run(ask(tmp_path, "GET", "/health", refused))
    assert answer.json() == {"own": True}
    assert (answer.headers["Retry-After"], answer.headers["X-Request-Id"]) == ("7", "its-own")


def test_a_function_that_is_not_ready_says_why_in_its_own_words(tmp_path: Path) -> None:
    async def not_ready(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"status": "unavailable"}, status=503, headers={"X-Request-Id": "its-own"})

    answer = run(ask(tmp_path, "GET", "/health", not_ready))
    assert (answer.status, answer.json()) == (503, {"status": "unavailable"})


def test_an_answer_without_a_type_gets_none(tmp_path: Path) -> None:
    async def bare(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=204)

    assert "Content-Type" not in run(ask(tmp_path, "GET", "/health", bare)).headers


def test_no_more_are_let_in_than_the_gate_holds(tmp_path: Path) -> None:
    inside, most = 0, 0

    async def slow(_: web.BaseRequest) -> web.StreamResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        return web.Response(text="ok")

    async def play() -> list[int]:
        async with a_door(tmp_path, slow) as (base, client):

            async def one() -> int:
                async with client.get(base + "/health") as response:
                    return response.status

            return await asyncio.gather(*(one() for _ in range(20)))

    statuses = asyncio.run(play())
    assert most == 2
    # Two were inside and ten waited; the others were told to come back.
    assert statuses.count(200) == 12
    assert statuses.count(503) == 8


def slowly(base: str, *parts: bytes) -> Coroutine[Any, Any, tuple[bytes, float]]:
    """All that comes back on a connection that sends these and then nothing, and after how many seconds it ended."""

    async def sending() -> tuple[bytes, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(base).port)
        began = asyncio.get_running_loop().time()
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer, asyncio.get_running_loop().time() - began

    return sending()


POST = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "begun", [POST + b"Content-Length: 900\r\n\r\n{", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
def test_a_body_that_does_not_come_is_waited_for_so_long_and_told(tmp_path: Path, begun: bytes) -> None:
    async def scene() -> tuple[bytes, float]:
        async with a_door(tmp_path) as (base, _):
            return await slowly(base, begun)

    answer, seconds = asyncio.run(scene())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come within 1 s" in answer
    assert b"connection: close" in answer.lower()
    assert seconds >= 0.8 * LIMITS.body_seconds


@pytest.mark.parametrize("begun", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Sl"])
def test_a_request_that_does_not_come_is_waited_for_so_long(tmp_path: Path, begun: bytes) -> None:
    async def scene() -> tuple[bytes, float]:
        async with a_door(tmp_path) as (base, _):
            return await slowly(base, begun)

    answer, seconds = asyncio.run(scene())
    assert answer == b""
    # The door began to count a moment before.
    assert 0.8 * HEADERS_SECONDS <= seconds < 5


def test_slow_connections_keep_nobody_waiting(tmp_path: Path) -> None:
    async def scene() -> int:
        async with a_door(tmp_path) as (base, client):
            body = POST + b"Content-Length: 900\r\n\r\n{"
            slow = [asyncio.create_task(slowly(base, begun)) for begun in (body, b"GET /hea") * 100]
            await asyncio.sleep(0)
            status = 0
            for _ in range(20):
                async with client.get(base + "/health") as response:
                    status = max(status, response.status)
            waiting = sum(not task.done() for task in slow)
            await asyncio.gather(*slow)
            assert waiting
            return status

    assert asyncio.run(scene()) == 200


def test_a_connection_that_has_asked_once_is_kept(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        async with a_door(tmp_path) as (base, client):
            found = []
            for pause in (0.0, 2 * HEADERS_SECONDS):
                await asyncio.sleep(pause)
                async with client.get(base + "/health") as response:
                    found.append(id(response.connection and response.connection.transport))
            return found

    first, second = asyncio.run(scene())
    assert first == second
