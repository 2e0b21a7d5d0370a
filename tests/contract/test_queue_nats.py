"""What only NATS can show: outages, lost acknowledgements, a full stream. Never a success in doubt."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from functions.shared.adapters import nats_queue
from functions.shared.adapters.nats_names import SLOW
from functions.shared.adapters.nats_queue import HEADER_BYTES, NatsQueue
from functions.shared.errors import QueueUnavailable, TooLarge
from functions.shared.ports import Message
from functions.shared.settings import QueueSettings
from tests.contract.queue_subjects import fresh_topology
from tests.support.nats import NatsServer, free_port
from tests.support.polling import until
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.engines

OUTAGE_SECONDS = 3.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path).start()
    asyncio.run(fresh_topology(made.url))
    yield made
    made.kill()


@pytest.fixture
def queue(server: NatsServer) -> Iterator[NatsQueue]:
    made = NatsQueue(QueueSettings(nats_url=server.url))
    yield made
    made.close()


@pytest.fixture
def proxy(server: NatsServer) -> Iterator[TcpProxy]:
    made = TcpProxy(server.port)
    yield made
    made.close()


@pytest.fixture
def proxied(proxy: TcpProxy) -> Iterator[NatsQueue]:
    made = NatsQueue(QueueSettings(nats_url=f"nats://127.0.0.1:{proxy.port}"))
    yield made
    made.close()


def messages(count: int = 1, body: bytes = b"x") -> list[Message]:
    return [Message(str(uuid.uuid4()), body) for _ in range(count)]


def test_acknowledged_messages_survive_kill_9(server: NatsServer, queue: NatsQueue) -> None:
    sent = messages(20)
    queue.publish(sent)
    server.kill()
    server.start()
    assert queue.depth().ready == 20
    assert all(result.duplicate for result in queue.publish(sent))


def test_one_that_is_collected_where_another_loop_is_running_is_closed(server: NatsServer) -> None:
    left = [NatsQueue(QueueSettings(nats_url=server.url))]
    left[0].publish(messages())
    loop = left[0]._loop

    async def collect() -> None:
        left.clear()
        gc.collect()

    asyncio.run(collect())
    assert loop.is_closed()


def test_the_slow_lane_tells_what_waits_in_it_and_the_other_lane_does_not(server: NatsServer, queue: NatsQueue) -> None:
    slow = NatsQueue(QueueSettings(nats_url=server.url), names=SLOW)
    slow.publish([Message("1", b"x" * 900), Message("2", b"y")])
    assert (slow.depth(), slow.backlog().messages) == ((2, 0, 0), 2)
    assert slow.backlog().bytes > 900
    assert slow.oldest_at()
    assert (queue.depth(), queue.backlog(), queue.oldest_at()) == ((0, 0, 0), (0, 0), 0)
    slow.close()


def test_the_first_call_after_a_restart_succeeds(server: NatsServer, queue: NatsQueue) -> None:
    queue.publish(messages())
    for _ in range(3):
        server.kill()
        server.start()
        assert [result.error for result in queue.publish(messages(3))] == ["", "", ""]


def test_the_first_call_after_an_outage_succeeds(server: NatsServer, queue: NatsQueue) -> None:
    queue.publish(messages())
    server.kill()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(QueueUnavailable):
            queue.publish(messages())
        assert time.monotonic() - began < OUTAGE_SECONDS
    server.start()
    assert queue.publish(messages())[0].error == ""


def test_receive_and_settle_heal_too(server: NatsServer, queue: NatsQueue) -> None:
    queue.publish(messages(2))
    (one,) = queue.receive(1, 1)
    server.kill()
    with pytest.raises(QueueUnavailable):
        queue.receive(1, 0.1)
    with pytest.raises(QueueUnavailable):
        queue.ack(one)
    server.start()
    # The killed broker may have forgotten that it delivered the message: then the ack is refused and it comes again.
    with contextlib.suppress(QueueUnavailable):
        queue.ack(one)

    def empty() -> bool:
        for received in queue.receive(2, 0.1):
            queue.ack(received)
        return queue.depth() == (0, 0, 0)

    until(empty, what="everything is settled")


def test_a_frozen_broker_is_an_outage_and_no_success(server: NatsServer, queue: NatsQueue) -> None:
    queue.publish(messages())
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for big in (b"x", b"x" * 3_000_000):
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                queue.publish(messages(2, big))
            assert time.monotonic() - began < OUTAGE_SECONDS
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert queue.publish(messages())[0].error == ""


def test_a_listener_that_says_nothing_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        queue = NatsQueue(QueueSettings(nats_url=f"nats://127.0.0.1:{listener.getsockname()[1]}"))
        began = time.monotonic()
        with pytest.raises(QueueUnavailable):
            queue.publish(messages())
        assert time.monotonic() - began < OUTAGE_SECONDS
        queue.close()


def test_one_of_several_servers_is_enough(server: NatsServer) -> None:
    queue = NatsQueue(QueueSettings(nats_url=f"nats://127.0.0.1:{free_port()}, {server.url}"))
    assert queue.publish(messages())[0].error == ""
    queue.close()


def test_a_lost_acknowledgement_is_asked_for_again_and_stored_once(proxy: TcpProxy, proxied: NatsQueue) -> None:
    proxied.publish(messages())
    proxy.cut_answers = 1
    (result,) = proxied.publish(messages())
    assert (result.error, result.duplicate) == ("", False), "our own resend is not the client's duplicate"
    assert proxied.depth().ready == 2


def test_acknowledgements_that_stay_lost_are_no_success(proxy: TcpProxy, proxied: NatsQueue) -> None:
    proxied.publish(messages())
    proxy.cut_answers = 100
    with pytest.raises(QueueUnavailable):
        proxied.publish(messages())


def test_a_connection_that_went_silent_while_idle_is_replaced(proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_queue, "_TRUST_SECONDS", 0.0)
    queue = NatsQueue(QueueSettings(nats_url=f"nats://127.0.0.1:{proxy.port}"))
    queue.publish(messages())
    proxy.swallow = True
    assert queue.publish(messages())[0].error == ""
    queue.close()


def test_without_a_stream_nothing_is_promised(tmp_path: Path) -> None:
    bare = NatsServer(tmp_path).start()
    queue = NatsQueue(QueueSettings(nats_url=bare.url))
    try:
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="topology"):
            queue.publish(messages())
        with pytest.raises(QueueUnavailable, match="topology"):
            queue.receive(1, 0.1)
        with pytest.raises(QueueUnavailable):
            queue.depth()
        assert time.monotonic() - began < 1
    finally:
        queue.close()
        bare.kill()


def test_a_full_stream_refuses_and_keeps_what_it_has(server: NatsServer, queue: NatsQueue) -> None:
    asyncio.run(fresh_topology(server.url, nats_stream_max_bytes=250_000))
    results = queue.publish(messages(3, b"x" * 100_000))
    assert [bool(result.error) for result in results] == [False, False, True]
    with pytest.raises(QueueUnavailable, match="maximum bytes"):
        queue.publish(messages(1, b"x" * 100_000))
    assert queue.depth().ready == 2


def test_the_servers_own_limit_counts(tmp_path: Path) -> None:
    small = NatsServer(tmp_path, max_payload=65_536).start()
    asyncio.run(fresh_topology(small.url))
    queue = NatsQueue(QueueSettings(nats_url=small.url))
    try:
        limit = queue.max_message_bytes
        assert limit == 65_536 - HEADER_BYTES
        assert queue.publish(messages(1, b"n" * limit))[0].error == ""
        with pytest.raises(TooLarge):
            queue.publish(messages(1, b"n" * (limit + 1)))
    finally:
        queue.close()
        small.kill()


def test_an_unknown_server_is_taken_for_a_usual_one() -> None:
    queue = NatsQueue(QueueSettings(nats_url=f"nats://127.0.0.1:{free_port()}"))
    began = time.monotonic()
    assert queue.max_message_bytes == 1024 * 1024 - HEADER_BYTES
    assert time.monotonic() - began < 1
    queue.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[]", b"null", b"not json", b'{"stream": "", "seq": 1}', b'{"stream": "S", "seq": 0}', b'{"seq": 1}'],
)
def test_only_a_whole_acknowledgement_is_success(answer: bytes) -> None:
    message = Msg(_client=None, data=answer)  # type: ignore[arg-type]
    assert nats_queue._puback(message, False).error


def test_a_process_that_ends_without_closing_ends_in_silence(server: NatsServer) -> None:
    script = (
        "from functions.shared.adapters.nats_queue import NatsQueue\n"
        "from functions.shared.settings import QueueSettings\n"
        f"queue = NatsQueue(QueueSettings(nats_url={server.url!r}))\n"
        "print(queue.depth().ready)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
