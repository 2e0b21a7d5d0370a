"""That the broker is set up to keep what was acknowledged."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import api

from functions.shared.errors import Misconfigured, QueueUnavailable
from infra.nats import server_conf
from infra.nats.topology import TopologySettings, ensure_topology
from tests.support.nats import NatsServer, free_port

pytestmark = pytest.mark.engines


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path).start()
    yield made
    made.kill()


async def info(url: str) -> tuple[api.StreamConfig, api.StreamConfig, api.ConsumerConfig, int]:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    events = await jetstream.stream_info("WEIR_EVENTS")
    dead = await jetstream.stream_info("WEIR_DEAD_LETTERS")
    consumer = await jetstream.consumer_info("WEIR_EVENTS", "enrich")
    await client.close()
    return events.config, dead.config, consumer.config, events.state.messages


async def on(url: str, call: Any) -> None:
    client = await nats.connect(url)
    await call(client.jetstream())
    await client.close()


def test_the_streams_are_durable(server: NatsServer) -> None:
    asyncio.run(ensure_topology(server.url, TopologySettings()))
    events, dead, _, _ = asyncio.run(info(server.url))
    for stream in (events, dead):
        assert stream.storage == "file"
        assert stream.discard == "new"
        assert stream.max_age == 0
        assert stream.max_msgs == -1
        assert (stream.max_bytes or 0) > 0
        assert stream.duplicate_window == 120
        assert stream.persist_mode in (None, "default")
        assert not stream.no_ack
        assert not stream.sealed
    assert (events.subjects, events.retention) == (["weir.events"], "workqueue")
    assert (dead.subjects, dead.retention) == (["weir.dead"], "limits")


def test_the_consumer_waits_longer_than_the_function_and_never_gives_up(server: NatsServer) -> None:
    asyncio.run(ensure_topology(server.url, TopologySettings()))
    _, _, consumer, _ = asyncio.run(info(server.url))
    assert (consumer.durable_name, consumer.ack_policy, consumer.deliver_policy) == ("enrich", "explicit", "all")
    assert (consumer.ack_wait or 0) >= 90
    assert consumer.max_deliver == -1
    assert consumer.max_ack_pending == 1000
    assert consumer.deliver_subject is None


def test_it_can_run_again_and_at_the_same_time_and_keeps_the_messages(server: NatsServer) -> None:
    async def at_once() -> None:
        await asyncio.gather(*[ensure_topology(server.url, TopologySettings()) for _ in range(5)])

    asyncio.run(at_once())
    asyncio.run(on(server.url, lambda jetstream: jetstream.publish("weir.events", b"kept")))
    asyncio.run(at_once())
    assert asyncio.run(info(server.url))[3] == 1


def test_what_differs_is_changed_where_it_can_be(server: NatsServer) -> None:
    asyncio.run(ensure_topology(server.url, TopologySettings()))
    asyncio.run(on(server.url, lambda jetstream: jetstream.publish("weir.events", b"kept")))
    changed = TopologySettings(nats_stream_max_bytes=1_000_000, nats_ack_wait_seconds=120, nats_max_ack_pending=10)
    asyncio.run(ensure_topology(server.url, changed))
    events, _, consumer, kept = asyncio.run(info(server.url))
    assert (events.max_bytes, consumer.ack_wait, consumer.max_ack_pending, kept) == (1_000_000, 120, 10, 1)


def test_what_cannot_be_changed_is_a_clear_error(server: NatsServer) -> None:
    memory = api.StreamConfig(name="WEIR_EVENTS", subjects=["weir.events"], storage=api.StorageType.MEMORY)
    asyncio.run(on(server.url, lambda jetstream: jetstream.add_stream(memory)))
    with pytest.raises(Misconfigured, match=r"WEIR_EVENTS cannot be.*storage"):
        asyncio.run(ensure_topology(server.url, TopologySettings()))


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(QueueUnavailable):
        asyncio.run(ensure_topology(f"nats://127.0.0.1:{free_port()}", TopologySettings()))


def test_the_server_writes_before_it_acknowledges(tmp_path: Path) -> None:
    monitor = free_port()
    server = NatsServer(tmp_path, monitor_port=monitor).start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/jsz?config=true", timeout=5) as answer:
            assert json.load(answer)["config"]["sync_always"] is True
    finally:
        server.kill()


def test_the_configuration_is_bound_to_one_address() -> None:
    text = server_conf.render(4222, 'a "quoted" folder', 8222, max_payload=99, max_file_store_bytes=7)
    assert 'listen: "127.0.0.1:4222"' in text
    assert 'http: "127.0.0.1:8222"' in text
    assert 'store_dir: "a \\"quoted\\" folder"' in text
    assert "sync_interval: always" in text
    assert "max_payload: 99" in text
    assert "max_file_store: 7" in text
    assert "http" not in server_conf.render(4222, "x")
