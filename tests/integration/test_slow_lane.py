"""The slow lane on a real broker: what is over a key's rate is kept as well, and stands in nobody's way."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from functions.shared import wiring
from functions.shared.access import SCOPES
from functions.shared.adapters.nats_names import SLOW
from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.domain import key_document
from functions.shared.domain.keys import Digest, Key, hash_of
from functions.shared.domain.rates import WINDOW_SECONDS
from functions.shared.settings import QueueSettings
from schemas.envelope import unpack
from tests.support.in_process import InProcess
from tests.support.keys import bearer
from tests.support.nats import NatsServer, with_streams
from tests.support.polling import until

pytestmark = pytest.mark.engines
RATE = 2


def key(token: str, **limits: object) -> Key:
    return Key(key_id=f"live_{token}", scopes=("write",), digests=(Digest(hash_of(token).hex()),), **limits)  # type: ignore[arg-type]


KEYS = [
    key("patient", events_per_second=RATE, slow_lane=True),
    key("hasty", events_per_second=RATE),
    key("other"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with with_streams(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("WEIR_NATS_URL", server.url)
    monkeypatch.setenv("WEIR_KEYS_DOCUMENT", key_document.write(KEYS))
    cached = (wiring.collect_service, wiring.gate, wiring.throttle)
    for one in cached:
        one.cache_clear()
    routes = [(method, path, "collect") for method, path in SCOPES if method == "POST" and "/events" in path]
    with httpx.Client(base_url="http://weir", transport=InProcess(routes)) as http:
        yield http
    for queue in (wiring.collect_service()._queue, wiring.collect_service()._slow_queue):
        queue.close()  # type: ignore[attr-defined]
    for one in cached:
        one.cache_clear()


def post(client: httpx.Client, token: str, count: int) -> httpx.Response:
    events = [{"event_type": "click", "event_name": token, "platform": "web"}] * count
    headers = {"Content-Type": "application/json", **bearer(token)}
    return client.post("/api/v1/events/batch", content=json.dumps(events), headers=headers)


def lines(queue: NatsQueue) -> int:
    found = 0
    while batch := queue.receive(100, 0.5):
        for each in batch:
            found += len(unpack(each.body).events)
            queue.ack(each)
    return found


def test_what_is_over_the_rate_waits_behind_the_others_or_is_refused(client: httpx.Client, server: NatsServer) -> None:
    allowed = RATE * WINDOW_SECONDS
    for token, over in (("patient", 202), ("hasty", 429)):
        first = post(client, token, allowed)
        assert (first.status_code, first.headers["RateLimit-Remaining"]) == (202, "0")
        assert post(client, token, 5).status_code == over
    assert post(client, "other", 7).status_code == 202
    main, slow = NatsQueue(QueueSettings(nats_url=server.url)), NatsQueue(QueueSettings(nats_url=server.url), 5, SLOW)
    try:
        assert (slow.depth().ready, main.depth().ready) == (1, 3)
        assert lines(main) == 2 * allowed + 7
        assert lines(slow) == 5
    finally:
        main.close()
        slow.close()


def test_what_waits_in_the_slow_lane_is_on_the_disk(client: httpx.Client, server: NatsServer) -> None:
    post(client, "patient", RATE * WINDOW_SECONDS)
    assert post(client, "patient", 5).status_code == 202
    server.kill()
    server.start()
    slow = NatsQueue(QueueSettings(nats_url=server.url), 5, SLOW)
    try:
        assert lines(slow) == 5
    finally:
        slow.close()


def test_a_lane_that_holds_as_many_bytes_as_it_may_sheds_what_would_have_to_wait_in_it(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_SHED_SLOW_BACKLOG_BYTES", "1")
    assert post(client, "patient", RATE * WINDOW_SECONDS).status_code == 202
    assert post(client, "patient", 1).status_code == 202
    until(lambda: post(client, "patient", 1).status_code == 503, 10, "a full lane")
    assert post(client, "other", 1).status_code == 202
