"""The event source as a process, between a real nats-server and a small Lambda endpoint."""

import asyncio
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import nats
import pytest

from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.ports import Depth, Message
from functions.shared.settings import QueueSettings
from infra.nats.topology import TopologySettings, ensure_topology
from tests.support.event_source import ROOT, EventSourceProcess
from tests.support.lambda_endpoint import Handler, LambdaEndpoint, Reply
from tests.support.nats import NatsServer, free_port
from tests.support.polling import until

pytestmark = pytest.mark.engines

ACK_WAIT_SECONDS = 1.0
EMPTY = Depth(0, 0, 0)
Records = list[dict[str, Any]]


def succeed(records: Records) -> Reply:
    return Reply({"batchItemFailures": []})


def crash_on(body: str) -> Handler:
    """The whole invocation fails when a record has this body."""

    def handler(records: Records) -> Reply:
        if any(record["body"] == body for record in records):
            return Reply({"errorType": "Poison", "errorMessage": "cannot take it"}, error="Unhandled")
        return Reply({"batchItemFailures": []})

    return handler


class World:
    """A broker with the topology, a queue to publish with, an endpoint, and event sources as asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nats = NatsServer(folder).start()
        self.settings = TopologySettings(nats_url=self.nats.url, nats_ack_wait_seconds=ACK_WAIT_SECONDS)
        asyncio.run(ensure_topology(self.nats.url, self.settings))
        self.queue = NatsQueue(QueueSettings(nats_url=self.nats.url))
        self.endpoint = LambdaEndpoint(succeed).open()
        self.sources: list[EventSourceProcess] = []

    def source(self, *options: str, **settings: str) -> EventSourceProcess:
        made = EventSourceProcess(self.folder, self.nats.url, self.endpoint.url, *options, **settings).start()
        self.sources.append(made)
        return made

    def publish(self, *bodies: str) -> None:
        self.queue.publish([Message(f"{body[:40]}-{time.time_ns()}", body.encode()) for body in bodies])

    def drained(self, dead: int = 0) -> bool:
        return self.queue.depth() == Depth(0, 0, dead)

    def dead_letters(self, count: int) -> list[Any]:
        async def read() -> list[Any]:
            client = await nats.connect(self.nats.url)
            subscription = await client.jetstream().subscribe("weir.dead", ordered_consumer=True)
            found = [await subscription.next_msg(5) for _ in range(count)]
            await client.close()
            return found

        return asyncio.run(read())

    def close(self) -> None:
        for source in self.sources:
            source.kill()
        self.endpoint.close()
        self.queue.close()
        self.nats.kill()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def delivered(world: World) -> list[str]:
    return [body for bodies in world.endpoint.bodies() for body in bodies]


def test_messages_become_sqs_records_and_are_gone_when_the_function_took_them(world: World) -> None:
    world.publish("one", "zwei ü €", '{"json": "with \\"quotes\\""}')
    world.source()
    until(lambda: world.drained() and len(world.endpoint.invocations) == 1, what="everything delivered")
    assert world.endpoint.bodies() == [["one", "zwei ü €", '{"json": "with \\"quotes\\""}']]
    record = world.endpoint.invocations[0][0]
    assert record["messageId"] == "WEIR_EVENTS:1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(record["attributes"]["SentTimestamp"]) - time.time() * 1000) < 60_000
    assert record["messageAttributes"] == {}
    assert (record["eventSource"], record["awsRegion"]) == ("weir:nats", "eu-west-1")
    assert record["eventSourceARN"].endswith(":WEIR_EVENTS")
    assert record["receiptHandle"]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": None}, b""])
def test_nothing_said_is_success(world: World, answer: Any) -> None:
    world.endpoint.handler = lambda records: Reply(answer)
    world.publish("one")
    world.source()
    until(lambda: bool(world.endpoint.invocations) and world.drained(), what="the message is acknowledged")


def test_only_the_failed_message_comes_again(world: World) -> None:
    def fail_first_two(records: Records) -> Reply:
        bad = [
            each["messageId"]
            for each in records
            if each["body"] == "bad" and int(each["attributes"]["ApproximateReceiveCount"]) < 3
        ]
        return Reply({"batchItemFailures": [{"itemIdentifier": each} for each in bad]})

    world.endpoint.handler = fail_first_two
    world.publish("good", "bad", "fine")
    world.source()
    until(lambda: delivered(world).count("bad") == 3 and world.drained(), what="the bad one took three tries")
    assert sorted(delivered(world)) == ["bad", "bad", "bad", "fine", "good"]


def test_a_message_that_keeps_failing_is_dead_lettered_with_its_cause(world: World) -> None:
    def fail(records: Records) -> Reply:
        ids = [each["messageId"] for each in records]
        failures = [{"itemIdentifier": each} for each in ids]
        return Reply({"batchItemFailures": failures, "causes": dict.fromkeys(ids, "line\nbreak ü")})

    world.endpoint.handler = fail
    world.publish("bad")
    world.source()
    until(lambda: world.drained(dead=1), what="the dead letter")
    counts = [records[0]["attributes"]["ApproximateReceiveCount"] for records in world.endpoint.invocations]
    assert counts == ["1", "2", "3", "4", "5"]
    (letter,) = world.dead_letters(1)
    assert letter.data == b"bad"
    assert letter.headers["Weir-Cause"] == "line break \\xfc"
    assert letter.headers["Weir-Attempts"] == "5"
    assert abs(int(letter.headers["Weir-First-Queued-At"]) - time.time_ns()) < 60e9
    assert letter.headers["Weir-Message-Id"].startswith("bad-")


def test_a_poison_message_does_not_take_its_neighbours_along(world: World) -> None:
    world.endpoint.handler = crash_on("poison")
    world.publish("a", "poison", "b", "c")
    world.source()
    until(lambda: world.drained(dead=1), what="only the poison is dead")
    (letter,) = world.dead_letters(1)
    assert (letter.data, letter.headers["Weir-Cause"]) == (b"poison", "Poison: cannot take it")
    assert letter.headers["Weir-Attempts"] == "5"
    by_size = [len(bodies) for bodies in world.endpoint.bodies()]
    assert by_size[:2] == [4, 4], "a failed batch comes again as a batch, once"
    assert set(by_size[2:]) == {1}


@pytest.mark.parametrize("answer", [b"no json", {"batchItemFailures": [{"wrong": 1}]}, ["list"]])
def test_a_malformed_answer_is_a_failed_try_of_the_whole_batch(world: World, answer: Any) -> None:
    world.endpoint.handler = lambda records: Reply(answer)
    world.publish("one")
    world.source()
    until(lambda: world.drained(dead=1), what="the dead letter")
    assert "malformed" in world.dead_letters(1)[0].headers["Weir-Cause"]


@pytest.mark.parametrize("status", [429, 404, 503])
def test_a_refusing_endpoint_burns_no_tries(world: World, status: int) -> None:
    world.endpoint.handler = lambda records: Reply({"Type": "x"}, status=status)
    world.publish("one", "two")
    world.source(backoff_seconds="0.02", max_attempts="2")
    until(lambda: len(world.endpoint.invocations) > 2, what="more attempts than tries")
    world.endpoint.handler = succeed
    until(world.drained, what="nothing dead, nothing left")
    assert world.endpoint.invocations[-1][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_function_whose_store_is_away_burns_no_tries(world: World) -> None:
    def unavailable(records: Records) -> Reply:
        failures = [{"itemIdentifier": each["messageId"]} for each in records]
        return Reply({"batchItemFailures": failures, "unavailable": "ClickHouse is away"})

    world.endpoint.handler = unavailable
    world.publish("one")
    world.source(backoff_seconds="0.02", max_attempts="2")
    until(lambda: len(world.endpoint.invocations) > 2, what="more attempts than tries")
    world.endpoint.handler = succeed
    until(world.drained, what="nothing dead, nothing left")


def test_the_endpoint_away_then_back(world: World) -> None:
    world.endpoint.close()
    world.publish("one", "two")
    source = world.source(backoff_seconds="0.02", max_attempts="2")
    until(lambda: source.lines().count('"unreached"') > 2, what="several vain attempts")
    world.endpoint.open()
    until(world.drained, what="everything delivered")
    assert sorted(delivered(world)) == ["one", "two"]


def test_the_broker_killed_and_back(world: World) -> None:
    world.source()
    world.publish("before")
    until(lambda: delivered(world) == ["before"] and world.drained(), what="the first one delivered")
    world.nats.kill()
    world.nats.start()
    world.publish("after")
    until(lambda: "after" in delivered(world) and world.drained(), what="the second one delivered")


def test_the_broker_killed_during_an_invocation(world: World) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(records: Records) -> Reply:
        entered.set()
        leave.wait(10)
        return Reply({"batchItemFailures": []})

    world.endpoint.handler = wait
    world.source()
    world.publish("one")
    assert entered.wait(10)
    world.nats.kill()
    world.nats.start()
    leave.set()
    until(world.drained, what="acknowledged, on whichever delivery")
    assert set(delivered(world)) == {"one"}


def test_started_before_broker_topology_and_function(tmp_path: Path) -> None:
    broker, endpoint = NatsServer(tmp_path), LambdaEndpoint(succeed)
    source = EventSourceProcess(tmp_path, broker.url, endpoint.url).start()
    queue = NatsQueue(QueueSettings(nats_url=broker.url))
    try:
        until(lambda: source.log.exists() and "broker_away" in source.lines(), what="it looks for the broker")
        broker.start()
        asyncio.run(ensure_topology(broker.url))
        queue.publish([Message("1", b"one")])
        until(lambda: "unreached" in source.lines(), what="it looks for the function")
        endpoint.open()
        until(lambda: queue.depth() == EMPTY, what="delivered")
        assert [body for bodies in endpoint.bodies() for body in bodies] == ["one"]
    finally:
        source.kill()
        endpoint.close()
        queue.close()
        broker.kill()


def test_killed_during_an_invocation_the_message_comes_again(world: World) -> None:
    entered = threading.Event()

    def hang(records: Records) -> Reply:
        entered.set()
        time.sleep(0.5)
        return Reply(None)

    world.endpoint.handler = hang
    world.publish("one")
    source = world.source()
    assert entered.wait(10)
    source.kill()
    world.endpoint.handler = succeed
    world.source()
    until(lambda: delivered(world) == ["one", "one"] and world.drained(), what="delivered a second time")


def test_a_long_invocation_keeps_its_messages(world: World) -> None:
    """Twice the ack wait: without heartbeats the other worker would get it again."""

    def slow(records: Records) -> Reply:
        time.sleep(ACK_WAIT_SECONDS * 2)
        return Reply(None)

    world.endpoint.handler = slow
    world.publish("one")
    world.source()
    until(lambda: bool(world.endpoint.invocations) and world.drained(), what="acknowledged")
    assert delivered(world) == ["one"]


def test_sigterm_finishes_what_is_in_flight(world: World) -> None:
    entered = threading.Event()

    def slow(records: Records) -> Reply:
        entered.set()
        time.sleep(0.5)
        return Reply(None)

    world.endpoint.handler = slow
    world.publish("one")
    source = world.source()
    assert entered.wait(10)
    assert source.terminate() == 0
    assert world.queue.depth() == EMPTY


def test_sigterm_gives_back_what_takes_too_long(world: World) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang(records: Records) -> Reply:
        entered.set()
        leave.wait(10)
        return Reply(None)

    world.endpoint.handler = hang
    world.publish("one")
    source = world.source(stop_seconds="0.3")
    assert entered.wait(10)
    began = time.monotonic()
    assert source.terminate() == 0
    assert time.monotonic() - began < 5
    (again,) = world.queue.receive(1, ACK_WAIT_SECONDS / 2)
    assert again.body == b"one"
    leave.set()


def test_sigterm_while_idle_and_while_the_broker_is_away(world: World) -> None:
    idle = world.source()
    until(lambda: "started" in idle.lines(), what="it runs")
    assert idle.terminate() == 0
    world.nats.kill()
    waiting = world.source()
    until(lambda: "broker_away" in waiting.lines(), what="it looks for the broker")
    assert waiting.terminate() == 0


def test_health_tells_the_counters(world: World) -> None:
    port = free_port()
    world.source("--health-port", str(port))
    world.publish("one")

    def answer() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as said:
                return dict(json.load(said))
        except (TimeoutError, OSError):
            return {}

    until(lambda: answer().get("acked") == 1, what="the counter")
    said = answer()
    assert (said["status"], said["state"], said["invocations"], said["bytes"]) == ("ok", "running", 1, 3)


def test_it_ends_with_the_parent_it_was_told_of(world: World) -> None:
    parent = Popen([sys.executable, "-c", "input()"], stdin=PIPE, cwd=ROOT)
    source = world.source("--parent-pid", str(parent.pid))
    until(lambda: "started" in source.lines(), what="it runs")
    parent.communicate(b"\n")
    assert source.process.wait(5) == 0
