"""Collect: events per CPU-second of the real Lambda handler, each request acknowledged by a broker that flushes.

Counted is the CPU of this process while the handler runs: routing, validation, packing, publishing, the log line.
Not counted: the broker's CPU (beside it), and what Lambda's runtime does around the handler.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.events import Events
from benchmarks.machine import cpu_seconds, nats, quiet
from benchmarks.results import Values

EVENTS_A_REQUEST = 100
SAMPLE = Path(__file__).parents[1] / "events_samples" / "aws" / "rest-request.batch.json"
_WARM_UP = 20


class Context:
    """What the handler reads of Lambda's context."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "weir"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:0:function:weir"


def request(body: str) -> dict[str, Any]:
    """The API Gateway event of a batch request."""
    event: dict[str, Any] = json.loads(SAMPLE.read_text())
    event["body"] = body
    return event


class Client:
    """Calls the handler and keeps the CPU it took."""

    def __init__(self, events: Events) -> None:
        from functions.collect.app import app

        self._app: Callable[[Any, Any], dict[str, Any]] = app
        self._events = events
        self._template = request("")
        self.spent = 0.0
        self.events = 0

    def send(self) -> None:
        event = {**self._template, "body": self._events.body(EVENTS_A_REQUEST)}
        began = time.process_time()
        answer = self._app(event, Context)
        self.spent += time.process_time() - began
        self.events += EVENTS_A_REQUEST
        assert answer["statusCode"] == 202, answer
        assert json.loads(answer["body"])["accepted"] == EVENTS_A_REQUEST - 1, answer

    def close(self) -> None:
        """End the connection that the service holds for as long as its process lives."""
        from functions.shared.wiring import collect_service

        collect_service()._queue.close()  # type: ignore[attr-defined]

    def reset(self) -> None:
        self.spent, self.events = 0.0, 0


def measure(*, quick: bool = False) -> Values:
    """For five seconds of CPU, or one and a half."""
    with nats() as broker, quiet():
        client = Client(Events())
        for _ in range(_WARM_UP):
            client.send()
        client.reset()
        before = cpu_seconds(broker.pid)
        while client.spent < (1.5 if quick else 5.0):
            client.send()
        broker_seconds = cpu_seconds(broker.pid) - before
        client.close()
    return {
        "collect_events_per_cpu_second": client.events / client.spent,
        "collect_us": client.spent / client.events * 1e6,
        "collect_broker_us": broker_seconds / client.events * 1e6,
    }
