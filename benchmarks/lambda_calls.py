"""Each function with the engines it needs, and the events that it is called with: a common one, and the largest."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from benchmarks.collect import request
from benchmarks.enrich import message, record
from benchmarks.events import Events
from benchmarks.lambda_image import Target
from infra.local import surroundings
from infra.local.packaging import build
from infra.local.stack import ENGINES, FREE, Stack
from tests.support.keys import VARIABLES as KEYS

Event = Mapping[str, Any]


class Call(NamedTuple):
    """A function as it runs, and what makes its events, each new to it; ``none`` holds nothing to do."""

    target: Target
    none: Event
    common: Callable[[], Event]
    largest: Callable[[], Event]


@contextmanager
def calls() -> Iterator[dict[str, Call]]:
    """Every function, by name, over engines of its own that run as long as this."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, _engines(Path(folder)) as variables:
        packages = Path(folder) / "packages"
        for stage in ("collect", "enrich", "measure", "serve"):
            build(stage, packages / stage)
        yield _calls(packages, variables)


@contextmanager
def _engines(folder: Path) -> Iterator[dict[str, str]]:
    services = ENGINES | {"emulator"}
    with Stack(data_dir=folder / "stack", ports=FREE, services=services, queue="nats", geo=False) as stack:
        account = surroundings.aws(stack.emulator_url)
        client = boto3.client(
            "sqs",
            endpoint_url=stack.emulator_url,
            region_name=surroundings.REGION,
            aws_access_key_id=account["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=account["AWS_SECRET_ACCESS_KEY"],
        )
        queues = {name: client.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "dead")}
        yield {
            **stack.variables(),
            **account,
            **KEYS,
            "WEIR_KEYS_PATH": "",
            "WEIR_GEO_PATH": "/opt/geo",
            "WEIR_ALERTS_FILE": "",
            "WEIR_SQS_QUEUE_URL": queues["events"],
            "WEIR_SQS_DEAD_LETTER_URL": queues["dead"],
        }


def _calls(packages: Path, variables: Mapping[str, str]) -> dict[str, Call]:
    events = Events(invalid=False)

    def target(handler: str, **more: str) -> Target:
        stage = handler.split(".")[1]
        return Target(packages / stage, handler, {**variables, **more})

    def post(count: int) -> Callable[[], Event]:
        return lambda: request(events.body(count))

    def tick() -> Event:
        return {}

    def queued(messages: int, count: int) -> Callable[[], Event]:
        return lambda: {"Records": [record(message(events, count), place) for place in range(messages)]}

    refused = request("no JSON")
    collect = "functions.collect.app.app"
    return {
        # The largest are about 4 MB, the limit of a request and what an invocation's 6 MB leave of escaped JSON.
        "collect_nats": Call(target(collect), refused, post(100), post(5_000)),
        "collect_sqs": Call(target(collect, WEIR_QUEUE="sqs"), refused, post(100), post(5_000)),
        "enrich": Call(target("functions.enrich.app.enrich"), {"Records": []}, queued(10, 100), queued(10, 500)),
        "drain": Call(target("functions.enrich.app.drain"), {}, tick, tick),
        "measure": Call(target("functions.measure.app.measure"), {}, tick, tick),
        "serve": Call(target("functions.serve.app.app"), read(0), lambda: read(100), lambda: read(1_000)),
    }


def read(limit: int) -> Event:
    """A question for so many events, as the gateway asks it; 0 is refused."""
    event = request("")
    path = "/api/v1/events"
    context = {**event["requestContext"], "resourcePath": path, "httpMethod": "GET", "path": f"/prod{path}"}
    headers = {"Authorization": "Bearer rk_local"}
    asked = {"limit": [str(limit)]}
    return {
        **event,
        "resource": path,
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {"limit": str(limit)},
        "multiValueQueryStringParameters": asked,
        "requestContext": context,
        "body": None,
    }
