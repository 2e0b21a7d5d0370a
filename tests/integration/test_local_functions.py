"""The functions on the emulator, from a copy of the checkout that the tests may edit."""

import http.client
import json
import os
import shutil
import signal
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.shared.metric_names import NAMESPACE
from infra.local.functions import client, client_errors
from infra.local.paths import ROOT
from infra.local.stack import ENGINES, EVERYTHING, FREE, Stack
from tests.support.accounts import Client
from tests.support.alarms import data, simple_alarms
from tests.support.keys import bearer, key_for
from tests.support.polling import until

pytestmark = pytest.mark.engines
EVENT = {"event_type": "page_view", "event_name": "Home", "platform": "web"}


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("checkout")
    for name in ("functions", "schemas", "infra", "requirements"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", root)
    (root / ".weir").mkdir()
    for name in ("tools", "build"):
        # What was installed for this checkout serves for its copy.
        (ROOT / ".weir" / name).mkdir(parents=True, exist_ok=True)
        (root / ".weir" / name).symlink_to(ROOT / ".weir" / name)
    data = root / ".weir"
    with Stack(root, data, FREE, EVERYTHING, queue="nats", geo=False, reload=True, say=said.append) as running:
        yield running


def ask(
    stack: Stack, method: str, path: str, body: Any = None, token: str = ""
) -> tuple[int, http.client.HTTPMessage, Any]:
    connection = http.client.HTTPConnection(stack.base_url.removeprefix("http://"), timeout=40)
    try:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **bearer(token or key_for(method, path.partition("?")[0]))}
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read() or b"null")
    finally:
        connection.close()


def test_an_event_goes_all_the_way(stack: Stack) -> None:
    event_id = str(uuid.uuid4())
    status, _, answer = ask(stack, "POST", "/api/v1/events?wait=stored", {**EVENT, "event_id": event_id})
    assert (status, answer["event_id"], answer["status"]) == (201, event_id, "stored")
    assert ask(stack, "GET", f"/api/v1/events/{event_id}")[0] == 200


def test_each_route_of_the_template_is_answered_by_its_function(stack: Stack) -> None:
    assert stack.functions is not None
    for method, path, _ in stack.functions.routes():
        filled = path.replace("{event_id}", str(uuid.UUID(int=1))).replace("{batch_id}", str(uuid.UUID(int=1)))
        connection = http.client.HTTPConnection(stack.base_url.removeprefix("http://"), timeout=40)
        connection.request(method, filled, headers=bearer(key_for(method, path)))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status < 500, (method, path, body)
        assert response.headers["X-Request-Id"]


def test_a_crashed_emulator_comes_back_with_its_functions(stack: Stack) -> None:
    before = stack.kill("emulator")
    status, headers, _ = ask(stack, "POST", "/api/v1/events", EVENT)
    assert status == 503
    assert headers["Retry-After"]
    stack.wait_back("emulator", before)
    until(lambda: ask(stack, "POST", "/api/v1/events", EVENT)[0] == 202, 20, "a working API")


def test_a_function_reads_a_secret_by_its_reference(stack: Stack) -> None:
    assert stack.functions is not None
    stack.functions.secrets = {"QuestdbPasswordSecret": "quest"}
    before = stack.kill("emulator")
    stack.wait_back("emulator", before)
    until(lambda: ask(stack, "GET", "/ready")[0] == 200, 20, "engines that answer")
    variables = stack.functions.environment("serve")
    assert variables["WEIR_QUESTDB_PASSWORD_SECRET"].endswith(":parameter/weir/QuestdbPasswordSecret")
    assert "quest" not in variables.values()


@pytest.fixture(scope="module")
def aws(stack: Stack) -> Iterator[Client]:
    """What makes clients of the emulator, each once."""
    made: dict[str, Any] = {}

    def one(name: str) -> Any:
        if name not in made:
            made[name] = client(name, stack.emulator_url)
        return made[name]

    yield one
    for each in made.values():
        each.close()


def alarms(aws: Client) -> dict[str, Any]:
    """The deployed alarms by their names in the template."""
    described = aws("cloudformation").describe_stack_resources(StackName="weir")
    logical = {one["PhysicalResourceId"]: one["LogicalResourceId"] for one in described["StackResources"]}
    return {logical[one["AlarmName"]]: one for one in aws("cloudwatch").describe_alarms()["MetricAlarms"]}


def published(stack: Stack, aws: Client, names: set[str]) -> dict[str, tuple[str, Any]]:
    """What CloudWatch makes of the lines that measure writes: namespace and datum of each of these metrics."""
    log, found = stack.logs_dir / "functions.log", {}

    def told() -> bool:
        aws("lambda").invoke(FunctionName="weir-measure", Payload=b"{}")
        own = "\n".join(line for line in log.read_text().splitlines() if line.startswith("measure "))
        found.update({datum["MetricName"]: (namespace, datum) for namespace, datum in data(own)})
        return names <= found.keys()

    until(told, 60, f"each of {names} told by measure", pause_seconds=2)
    return found


def test_the_alarm_of_a_function_goes_off_when_it_fails_or_is_throttled(aws: Client) -> None:
    lambdas, watch = aws("lambda"), aws("cloudwatch")

    def states() -> tuple[str, str]:
        # The emulator looks at its alarms when it is told of a metric, whichever.
        watch.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": "Any", "Value": 0}])
        found = alarms(aws)
        return found["EnrichErrors"]["StateValue"], found["ServeThrottles"]["StateValue"]

    assert "ALARM" not in states()
    assert lambdas.invoke(FunctionName="weir-enrich", Payload=b"[]")["FunctionError"]
    lambdas.put_function_concurrency(FunctionName="weir-serve", ReservedConcurrentExecutions=0)
    with pytest.raises(client_errors()):
        lambdas.invoke(FunctionName="weir-serve", Payload=b"{}")
    lambdas.delete_function_concurrency(FunctionName="weir-serve")
    assert states() == ("ALARM", "ALARM")


def test_each_alarm_on_a_metric_of_ours_looks_at_what_a_function_publishes_and_goes_off_by_it(
    stack: Stack, aws: Client
) -> None:
    watch = aws("cloudwatch")
    ours = {name: alarm for name, alarm in alarms(aws).items() if alarm["Namespace"] == NAMESPACE}
    assert ours.keys() == {name for name, one in simple_alarms().items() if one["Namespace"] == NAMESPACE}
    told = published(stack, aws, {alarm["MetricName"] for alarm in ours.values()})
    for name, alarm in ours.items():
        namespace, datum = told[alarm["MetricName"]]
        assert (namespace, datum["Dimensions"]) == (alarm["Namespace"], alarm["Dimensions"]), name
        at, over = alarm["Threshold"], alarm["Threshold"] + 1
        # The least of two is over only as long as none is not, the most of two as soon as one is.
        for value in (over, at) if alarm["Statistic"] == "Minimum" else (at, over):
            watch.put_metric_data(Namespace=namespace, MetricData=[{**datum, "Values": [value]}])
            assert alarms(aws)[name]["StateValue"] == ("ALARM" if value == over else "OK"), (name, value)


def test_what_the_functions_log_is_in_a_file(stack: Stack) -> None:
    # The emulator keeps log lines in memory, and the tests above let it crash.
    assert ask(stack, "POST", "/api/v1/events", EVENT)[0] == 202
    log = stack.logs_dir / "functions.log"
    until(lambda: log.exists() and "collect {" in log.read_text(), 20, "a line of collect in the log")


def test_a_prometheus_server_reads_the_functions_metrics(stack: Stack) -> None:
    def exposed() -> str:
        with urllib.request.urlopen(f"{stack.base_url}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(answer.read().decode())

    until(lambda: 'weir_events_accepted_total{service="collect"}' in exposed(), 20, "what collect has taken")
    assert ask(stack, "POST", "/api/v1/events", EVENT, "rk_test_local")[0] == 403
    refused = 'weir_requests_refused_total{service="collect",key_id="test_local_read"} 1'
    until(lambda: refused in exposed(), 20, "whose key was refused")
    told = exposed()
    assert {f'weir_engine_up{{engine="{name}"}} 1' for name in ENGINES} <= set(told.splitlines())
    counted = dict(line.rsplit(" ", 1) for line in told.splitlines() if line.startswith("weir_event_source_"))
    pulled, tries, acked = (
        int(counted[f"weir_event_source_{name}_total"])
        for name in ("messages_pulled", "message_tries", "messages_acked")
    )
    assert pulled >= tries >= acked > 0


def test_a_prometheus_server_sees_that_an_engine_is_away(stack: Stack) -> None:
    def up() -> str:
        with urllib.request.urlopen(f"{stack.base_url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(line for line in lines if line.startswith('weir_engine_up{engine="questdb"}'))[-1]

    pid = stack.running["questdb"].pid
    assert pid is not None
    # Stopped, not killed: a killed one is back before anybody looks.
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: up() == "0", 30, "QuestDB seen to be away")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: up() == "1", 30, "QuestDB seen to be back")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIR_CLICKHOUSE_URL", ""),
        ("WEIR_CLICKHOUSE_PASSWORD_SECRET", "arn:aws:ssm:us-east-1:000000000000:parameter/weir/none"),
        ("WEIR_NATS_URL_SECRET", "arn:aws:secretsmanager:us-east-1:000000000000:secret:none-AbCdEf"),
        ("WEIR_QUEUE", "kafka"),
    ],
)
def test_a_bad_parameter_is_named_in_the_log_and_the_client_told_to_come_again(
    stack: Stack, aws: Client, name: str, value: str
) -> None:
    lambdas = aws("lambda")
    given = lambdas.get_function_configuration(FunctionName="weir-collect")["Environment"]
    log = stack.logs_dir / "functions.log"
    before = log.stat().st_size
    bad = {"Variables": {**given["Variables"], name: value}}
    lambdas.update_function_configuration(FunctionName="weir-collect", Environment=bad)
    try:
        status, headers, answer = ask(stack, "POST", "/api/v1/events", EVENT)
    finally:
        lambdas.update_function_configuration(FunctionName="weir-collect", Environment=given)
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "application/problem+json", "5")
    assert answer["detail"].startswith("The service is not set up correctly.")
    assert "Traceback" not in json.dumps(answer)
    assert name not in json.dumps(answer)
    until(lambda: f'"detail":"{name}: ' in log.read_bytes()[before:].decode(), 60, f"{name} in the log")
    assert "Traceback" not in log.read_bytes()[before:].decode()
    assert ask(stack, "POST", "/api/v1/events", EVENT)[0] == 202


@pytest.mark.parametrize("stage", ["serve", "enrich", "measure"])
def test_what_is_asked_of_a_function_that_is_not_set_up_is_asked_again(stack: Stack, aws: Client, stage: str) -> None:
    """Each parameter of each function is in test_bad_parameters.py; here the function is the deployed one."""
    lambdas = aws("lambda")
    name, log = f"weir-{stage}", stack.logs_dir / "functions.log"
    given = lambdas.get_function_configuration(FunctionName=name)["Environment"]
    before = log.stat().st_size
    lambdas.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**given["Variables"], "WEIR_CLICKHOUSE_URL": ""}}
    )
    try:
        if stage == "serve":
            assert ask(stack, "GET", "/api/v1/events")[0] == 503
        else:
            payload = json.dumps({"Records": [{"messageId": "1", "body": "{}"}]}).encode()
            done = lambdas.invoke(FunctionName=name, Payload=payload)
            answer = json.loads(done["Payload"].read())
            assert "FunctionError" not in done
            assert answer.get("state") == "failed" or answer["batchItemFailures"] == [{"itemIdentifier": "1"}]
        until(
            lambda: '"detail":"WEIR_CLICKHOUSE_URL: ' in log.read_bytes()[before:].decode(), 60, "its name in the log"
        )
    finally:
        lambdas.update_function_configuration(FunctionName=name, Environment=given)
    assert "Traceback" not in log.read_bytes()[before:].decode()


def test_an_edit_reaches_the_running_function(stack: Stack, said: list[str]) -> None:
    _append(stack.root / "functions/collect/app.py", "\nEDITED = True\n")
    until(lambda: any(line.startswith("reloaded collect in") for line in said), 30, f"a reload, not {said}")
    assert ask(stack, "POST", "/api/v1/events", EVENT)[0] == 202


def test_code_that_cannot_be_imported_is_not_taken(stack: Stack, said: list[str]) -> None:
    said.clear()
    _append(stack.root / "functions/collect/app.py", "\nimport no_such_module\n")
    until(lambda: bool(said), 30, "a word on the reload")
    assert said[0].startswith("kept the old collect: ModuleNotFoundError: No module named 'no_such_module'")
    assert "functions/collect/app.py" in said[0]
    assert ask(stack, "POST", "/api/v1/events", EVENT)[0] == 202


def _append(file: Path, text: str) -> None:
    with file.open("a") as open_file:
        open_file.write(text)
