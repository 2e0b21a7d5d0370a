"""Shedding on a real broker: what is over the bound is refused before anything of it is taken, and only then."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from functions.collect import backlog
from functions.shared import wiring
from functions.shared.access import SCOPES
from infra.local import dev_keys
from tests.support.in_process import InProcess
from tests.support.keys import KeyAuth, bearer
from tests.support.nats import NatsServer, with_streams
from tests.support.polling import until

pytestmark = pytest.mark.engines
MOST = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with with_streams(tmp_path) as running:
        yield running


@pytest.fixture
def most() -> int:
    return MOST


@pytest.fixture
def client(server: NatsServer, most: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("WEIR_NATS_URL", server.url)
    monkeypatch.setenv("WEIR_SHED_BACKLOG_MESSAGES", str(most))
    monkeypatch.setenv("WEIR_LIMITS_CROWDED_EVENTS_PER_SECOND", "1")
    wiring.collect_service.cache_clear()
    wiring.throttle.cache_clear()
    routes = [(method, path, "collect") for method, path in SCOPES if method == "POST" and "/events" in path]
    with httpx.Client(base_url="http://weir", transport=InProcess(routes), auth=KeyAuth()) as http:
        yield http
    wiring.collect_service()._queue.close()  # type: ignore[attr-defined]
    wiring.collect_service.cache_clear()
    wiring.throttle.cache_clear()


def post(client: httpx.Client, token: str = dev_keys.WRITE) -> httpx.Response:
    event = {"event_type": "click", "event_name": "Buy", "platform": "web"}
    headers = {"Content-Type": "application/json", **bearer(token)}
    return client.post("/api/v1/events", content=json.dumps(event), headers=headers)


def test_a_backlog_sheds_until_it_is_worked_off(client: httpx.Client, server: NatsServer) -> None:
    accepted = 0

    def refused() -> bool:
        nonlocal accepted
        answer = post(client)
        accepted += answer.status_code == 202
        return answer.status_code == 503

    until(refused, 10, "a queue that is full")
    queue = wiring.collect_service()._queue
    assert accepted >= MOST
    # What was refused is nowhere.
    assert queue.backlog().messages == accepted
    answer = post(client)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "overloaded", "5")
    assert queue.backlog().messages == accepted
    for each in queue.receive(100, 1):
        queue.ack(each)
    until(lambda: post(client).status_code == 202, 10, "a queue with room")


@pytest.mark.parametrize("most", [200])
def test_a_key_that_fills_the_queue_is_refused_while_others_are_taken(
    client: httpx.Client, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked at by each request: how many come between two looks is the machine's affair.
    monkeypatch.setattr(backlog, "_FRESH_NS", 0)
    statuses: Counter[int] = Counter()

    def refused() -> bool:
        answer = post(client)
        statuses[answer.status_code] += 1
        return answer.status_code == 429

    until(refused, 60, "a key over its share", 0)
    assert statuses.keys() == {202, 429}
    assert most * 3 // 4 < statuses[202] < most
    for _ in range(3):
        assert post(client, dev_keys.TEST_WRITE).status_code == 202
    answer = post(client)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0


def test_while_the_broker_is_away_an_answer_takes_no_longer_than_ever(client: httpx.Client, server: NatsServer) -> None:
    assert post(client).status_code == 202
    server.kill()
    for _ in range(3):
        began = time.monotonic()
        answer = post(client)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert time.monotonic() - began < 3
    server.start()
    until(lambda: post(client).status_code == 202, 10, "a broker that is back")
