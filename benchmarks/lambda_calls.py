"""Each function with the engines it needs, and the events that it is called with: a common one, and the largest."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
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


class _Told(NamedTuple):
    """What every function is told, and under which references Secrets Manager keeps some of it besides."""

    variables: Mapping[str, str]
    references: Mapping[str, str]


@contextmanager
def calls(*, by_reference: bool = False) -> Iterator[dict[str, Call]]:
    """Every function, by name, over engines of its own that run as long as this.

    ``by_reference``: those besides whose keys and passwords are kept in Secrets Manager.
    """
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, _engines(Path(folder)) as told:
        packages = Path(folder) / "packages"
        for stage in ("collect", "enrich", "measure", "serve"):
            build(stage, packages / stage)
        found = _calls(packages, told.variables)
        if by_reference:
            found |= {
                f"{name}_by_reference": _kept(found[name], those, told.references)
                for name, those in _REFERENCES.items()
            }
        yield found


@contextmanager
def _engines(folder: Path) -> Iterator[_Told]:
    services = ENGINES | {"emulator"}
    with Stack(data_dir=folder / "stack", ports=FREE, services=services, queue="nats", geo=False) as stack:
        account = surroundings.aws(stack.emulator_url)
        session = boto3.Session(
            account["AWS_ACCESS_KEY_ID"], account["AWS_SECRET_ACCESS_KEY"], None, surroundings.REGION
        )
        sqs = session.client("sqs", endpoint_url=stack.emulator_url)
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "dead")}
        variables = {
            **stack.variables(),
            **account,
            **KEYS,
            "WEIR_KEYS_PATH": "",
            "WEIR_GEO_PATH": "/opt/geo",
            "WEIR_ALERTS_FILE": "",
            "WEIR_SQS_QUEUE_URL": queues["events"],
            "WEIR_SQS_DEAD_LETTER_URL": queues["dead"],
        }
        secrets = session.client("secretsmanager", endpoint_url=stack.emulator_url)
        # The engines of the stack ask for no password.
        kept = {"keys": KEYS["WEIR_KEYS_DOCUMENT"], "nats": variables["WEIR_NATS_URL"], "password": "unasked"}
        references = {name: secrets.create_secret(Name=name, SecretString=kept[name])["ARN"] for name in kept}
        yield _Told(variables, {variable: references[name] for variable, name in _KEPT.items()})


# Under which variable a function is told where each is kept, and what the template tells each function of.
_KEPT = {"WEIR_KEYS_REFERENCE": "keys", "WEIR_NATS_URL_SECRET": "nats", "WEIR_CLICKHOUSE_PASSWORD_SECRET": "password"}
_REFERENCES = {
    "collect_nats": tuple(_KEPT),
    "enrich": ("WEIR_CLICKHOUSE_PASSWORD_SECRET",),
    "serve": ("WEIR_KEYS_REFERENCE", "WEIR_CLICKHOUSE_PASSWORD_SECRET"),
}


def _kept(call: Call, variables: Iterable[str], references: Mapping[str, str]) -> Call:
    told = {variable: references[variable] for variable in variables}
    if "WEIR_KEYS_REFERENCE" in told:
        told["WEIR_KEYS"] = "secret"
    return call._replace(target=call.target._replace(variables={**call.target.variables, **told}))


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
