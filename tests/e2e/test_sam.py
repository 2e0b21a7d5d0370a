"""What a person types of SAM: `validate`, `local invoke` of what no route calls, `deploy` to the emulator."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pytest

from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.ports import Message
from functions.shared.settings import QueueSettings
from infra.local import surroundings
from infra.local.functions import client
from infra.local.packaging import EVENT_SOURCE, build
from infra.local.paths import ROOT
from infra.local.stack import ENGINES, FREE, Stack
from tests.support import sam_local
from tests.support.keys import bearer
from tests.support.polling import until

RECORDS = json.loads((ROOT / "events_samples/aws/sqs-batch.json").read_text())["Records"]
EVENT_ID = "0193a1b2-c3d4-7e5f-8a9b-000000000040"
LAMBDA_IMAGE = "public.ecr.aws/lambda/python:3.11-x86_64"
CARRIED = "0193a1b2-c3d4-7e5f-8a9b-0000000000d1"
DEPLOYED = "0193a1b2-c3d4-7e5f-8a9b-0000000000d0"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `weir up --engines-only` runs."""
    folder = tmp_path_factory.mktemp("engines")
    services = ENGINES | {"emulator"}
    with Stack(data_dir=folder, ports=FREE, services=services, queue="nats", geo=False, containers=True) as running:
        yield running


def stored(engines: Stack, event_id: str) -> int:
    with clickhouse_connect.get_client(dsn=engines.clickhouse_url, database="weir") as store:
        sql = "SELECT count() FROM processed_events WHERE event_id = {id:UUID}"
        return int(store.query(sql, parameters={"id": event_id}).result_rows[0][0])


def deploy(engines: Stack, **more: str) -> None:
    """As the guide says, to the emulator."""
    overrides = {
        "Environment": "local",
        "NatsUrl": engines.nats_url,
        "ClickhouseUrl": engines.clickhouse_url,
        "QuestdbUrl": engines.questdb_url,
        "QuestdbPgPort": engines.questdb_pg_port,
        "Keys": "file",
        "KeysPath": str(engines.keys_file),
        **more,
    }
    given = [f"{name}={value}" for name, value in overrides.items()]
    endpoint = {"AWS_ENDPOINT_URL": engines.emulator_url}
    # Where all is as it was, that is well.
    options = ["--config-env", "local", "--no-fail-on-empty-changeset"]
    sam_local.run("deploy", *options, "--parameter-overrides", *given, **endpoint)


def halt_drain(engines: Stack) -> None:
    """Nobody takes messages from the broker by the schedule."""
    client("lambda", engines.emulator_url).put_function_concurrency(
        FunctionName="weir-drain", ReservedConcurrentExecutions=0
    )


def let_drain(engines: Stack) -> None:
    """As the template has it."""
    client("lambda", engines.emulator_url).put_function_concurrency(
        FunctionName="weir-drain", ReservedConcurrentExecutions=1
    )


def post(engines: Stack, event_id: str) -> httpx.Response:
    """One event to what was deployed."""
    url = f"{engines.emulator_url}/_aws/execute-api/{_output(engines, 'ApiId')}/local/api/v1/events"
    event = {"event_id": event_id, "event_type": "t", "event_name": "n", "platform": "p"}
    return httpx.post(url, json=event, headers=bearer("wk_local"), timeout=30)


def test_the_template_is_valid_and_has_nothing_to_lint() -> None:
    assert "is a valid SAM Template" in sam_local.run("validate", "--lint")


def test_the_drain_takes_what_waits_in_nats(engines: Stack) -> None:
    sam_local.needs_docker()
    sam_local.build()
    queue = NatsQueue(QueueSettings(nats_url=engines.nats_url))
    queue.publish([Message(record["messageId"], record["body"].encode()) for record in RECORDS])
    done = sam_local.invoke("DrainFunction", "schedule.json", engines.sam_variables)
    assert (done["state"], done["counts"]["events"], queue.depth()) == ("empty", 4, (0, 0, 0))
    queue.close()
    assert stored(engines, EVENT_ID) == 1


def test_enrich_takes_the_records_of_an_event_source(engines: Stack) -> None:
    sam_local.needs_docker()
    sam_local.build()
    answer = sam_local.invoke("EnrichFunction", "sqs-batch.json", engines.sam_variables)
    assert answer == {"batchItemFailures": []}
    assert stored(engines, EVENT_ID) == 1


def test_measure_runs_by_the_schedules_event(engines: Stack) -> None:
    sam_local.needs_docker()
    sam_local.build()
    assert sam_local.invoke("MeasureFunction", "schedule.json", engines.sam_variables)["state"] == "done"


@pytest.mark.parametrize(
    ("name", "value"), [("WEIR_CLICKHOUSE_URL", ""), ("WEIR_CLICKHOUSE_PASSWORD_SECRET", "hunter2")]
)
def test_a_bad_parameter_is_named_in_the_log_and_the_client_told_to_come_again(
    engines: Stack, tmp_path: Path, name: str, value: str
) -> None:
    sam_local.needs_docker()
    sam_local.build()
    given = json.loads(engines.sam_variables.read_text())["Parameters"]
    variables = tmp_path / "bad.json"
    variables.write_text(json.dumps({"Parameters": {**given, name: value}}))
    answer, log = sam_local.invoked("CollectFunction", "rest-request.batch.json", variables)
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "5")
    assert "not set up correctly" in answer["body"]
    assert name not in answer["body"]
    assert f'"detail":"{name}: ' in log
    # Lambda's own client, which waits for the next event, may show a trace of itself when its container is ended.
    assert 'File "/var/task/' not in log
    assert "hunter2" not in log


@pytest.fixture(scope="module")
def deployed(engines: Stack) -> Stack:
    """The same, and the functions on the emulator."""
    sam_local.build()
    deploy(engines)
    return engines


def test_what_sam_deploys_to_the_emulator_collects_and_drains(deployed: Stack) -> None:
    engines = deployed
    answer = post(engines, DEPLOYED)
    assert answer.status_code == 202, answer.text
    until(lambda: _drained(engines) and stored(engines, DEPLOYED) == 1, 180, "the event in the store")


def test_the_event_source_in_a_container_invokes_the_deployed_function(deployed: Stack, tmp_path: Path) -> None:
    engines = deployed
    sam_local.needs_docker()
    build(EVENT_SOURCE, tmp_path)
    based = ["--build-arg", f"BASE={LAMBDA_IMAGE}", "--file", str(ROOT / "infra/nats/Dockerfile")]
    image = sam_local.docker("build", "--quiet", *based, str(tmp_path))
    told = {
        "WEIR_NATS_URL": engines.nats_url,
        "WEIR_ENRICH_FUNCTION": "weir-enrich",
        **surroundings.aws(engines.emulator_url),
    }
    variables = [option for name, value in told.items() for option in ("--env", f"{name}={value}")]
    # Its schedule would else take what the container is to carry.
    halt_drain(engines)
    container = sam_local.docker("run", "--detach", "--read-only", "--network", "host", *variables, image)
    try:
        assert post(engines, CARRIED).status_code == 202
        until(lambda: stored(engines, CARRIED) == 1, 180, "the event in the store")
        until(lambda: '"outcome":"answered"' in sam_local.docker("logs", container), 60, "an invocation that answered")
    finally:
        sam_local.docker("rm", "--force", container)
        let_drain(engines)


def test_an_upgrade_and_a_roll_back_lose_nothing_that_is_queued_and_what_is_torn_down_keeps_its_events(
    deployed: Stack,
) -> None:
    engines = deployed
    queue = NatsQueue(QueueSettings(nats_url=engines.nats_url))
    acknowledged: list[str] = []
    for version in ({"AllowedOrigin": "https://newer.example"}, {}):
        halt_drain(engines)
        acknowledged += [event_id for event_id in _some(5) if post(engines, event_id).status_code == 202]
        assert queue.depth().ready > 0
        deploy(engines, **version)
        acknowledged += [event_id for event_id in _some(5) if post(engines, event_id).status_code == 202]
        let_drain(engines)
        until(lambda: _drained(engines) and queue.depth() == (0, 0, 0), 180, "an empty queue")
    assert len(acknowledged) == 20
    assert [stored(engines, event_id) for event_id in acknowledged] == [1] * 20
    waiting = str(uuid.uuid4())
    halt_drain(engines)
    assert post(engines, waiting).status_code == 202
    sam_local.run(
        "delete",
        "--stack-name",
        "weir",
        "--no-prompts",
        "--region",
        surroundings.REGION,
        AWS_ENDPOINT_URL=engines.emulator_url,
    )
    assert not client("lambda", engines.emulator_url).list_functions()["Functions"]
    # What was acknowledged is the broker's and the store's, and outlives the functions.
    assert queue.depth().ready == 1
    queue.close()
    assert stored(engines, acknowledged[0]) == 1


def _some(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def _output(engines: Stack, name: str) -> str:
    stack = client("cloudformation", engines.emulator_url).describe_stacks(StackName="weir")["Stacks"][0]
    return next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == name)


def _drained(engines: Stack) -> bool:
    """Whether a run found the queue empty. The schedule may have one at work; this one is then refused or idle."""
    answer: dict[str, Any] = client("lambda", engines.emulator_url).invoke(FunctionName="weir-drain")
    return bool(json.loads(answer["Payload"].read()).get("state") == "empty")
