"""What the matrix asks of the broker, on a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import Message
from functions.shared.settings import QueueSettings
from tests.faults import broker
from tests.support.nats import NatsServer, with_streams
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.engines
ID = "00000001-0000-4000-8000-000000000000"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with with_streams(tmp_path) as running:
        yield running


def queue(url: str) -> NatsQueue:
    return NatsQueue(QueueSettings(nats_url=url), max_attempts=1)


def test_a_full_stream_refuses_until_it_has_room_again(server: NatsServer) -> None:
    publishing = queue(server.url)
    broker.bound(server.url, 1_000)
    with pytest.raises(QueueUnavailable):
        publishing.publish([Message("a", b"x" * 2_000)])
    broker.bound(server.url, None)
    assert publishing.publish([Message("a", b"x" * 2_000)])[0].error == ""
    publishing.close()


def test_what_was_put_past_collect_and_given_up_is_among_the_dead_letters(server: NatsServer) -> None:
    taking = queue(server.url)
    assert broker.dead_letters(server.url) == []
    broker.put(server.url, f'{{"event_id":"{ID}"}}'.encode())
    (received,) = taking.receive(1, 5)
    assert taking.retry(received, 0, "poison")
    assert [broker.ids_in(body) for body in broker.dead_letters(server.url)] == [{ID}]
    taking.close()


def test_a_message_is_delivered_five_times(server: NatsServer) -> None:
    proxy = TcpProxy(server.port)
    redelivering = broker.Redelivering(5)
    proxy.rewrite = redelivering
    taking = queue(f"nats://127.0.0.1:{proxy.port}")
    broker.put(server.url, b"again")
    deliveries = []
    for _ in range(5):
        (received,) = taking.receive(1, 5)
        deliveries.append(received.attempt)
        taking.ack(received)
    assert deliveries == [1, 2, 3, 4, 5]
    assert taking.receive(1, 0.2) == []
    taking.close()
    proxy.close()
