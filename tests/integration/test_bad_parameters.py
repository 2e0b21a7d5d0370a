"""What a parameter that is missing or wrong does to each function: its deployed handler, in a process of its own."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from infra.local import dev_keys, surroundings
from infra.local.paths import ROOT
from tests.support.keys import VARIABLES, bearer
from tests.support.localstack import localstack
from tests.support.nats import free_port
from tests.support.template import functions

# A value that may be a secret, put where its reference belongs.
SECRET = "hunter2"
RECORDS = json.loads((ROOT / "events_samples/aws/sqs-batch.json").read_text())
TICK = json.loads((ROOT / "events_samples/aws/schedule.json").read_text())
BATCH = json.loads((ROOT / "events_samples/aws/rest-request.batch.json").read_text())
# What wants a setting that others of its function do not.
ROUTES = {
    "WEIR_QUESTDB_URL": "/api/v1/sessions",
    "WEIR_QUESTDB_PASSWORD_SECRET": "/api/v1/sessions",
    "WEIR_PRIVACY_SECRET_SECRET": "/api/v1/erasures/{erasure_id}",
}
ADDRESSES = {"WEIR_CLICKHOUSE_URL": "", "WEIR_QUEUE": "kafka"}
KEYS = {"WEIR_KEYS_DOCUMENT": '{"keys": 7}', "WEIR_LIMITS_URL": "carrier-pigeon://x"}
WRONG: dict[str, dict[str, str]] = {
    "collect": {**ADDRESSES, **KEYS, "WEIR_LIMIT_EVENT_BYTES": "many"},
    "serve": {**ADDRESSES, **KEYS, "WEIR_QUESTDB_URL": ""},
    "enrich": {**ADDRESSES, "WEIR_PRIVACY_ADDRESS": "gone", "WEIR_SCHEMAS_PATH": "/nowhere"},
    "drain": {**ADDRESSES, "WEIR_PRIVACY_ADDRESS": "gone", "WEIR_SCHEMAS_PATH": "/nowhere"},
    "measure": {**ADDRESSES, "WEIR_QUESTDB_URL": "", "WEIR_ALERTS_SNS_TOPIC_ARN": "topic"},
}
_INVOKED = """
import importlib, json, sys, types
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
answer = handler(json.load(sys.stdin), types.SimpleNamespace(aws_request_id="r-1"))
print(json.dumps(answer))
"""


class Said(NamedTuple):
    answer: dict[str, Any]
    failures: list[dict[str, Any]]
    everything: str


def invoked(stage: str, event: Any, **variables: str) -> Said:
    """The answer of a first invocation, and the lines that tell of a failure."""
    nowhere = f"127.0.0.1:{free_port()}"
    engines = {"WEIR_CLICKHOUSE_URL": f"http://{nowhere}", "WEIR_NATS_URL": f"nats://{nowhere}"}
    given = surroundings.clean(**VARIABLES, **surroundings.aws(f"http://{nowhere}"), **engines) | variables
    handler = functions()[stage]["Handler"]
    command = [sys.executable, "-c", _INVOKED, handler]
    done = subprocess.run(
        command, cwd=ROOT, env=given, input=json.dumps(event), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    failures = [line for line in lines if line["message"] == "failure"]
    return Said(json.loads(done.stdout.splitlines()[-1]), failures, done.stdout + done.stderr)


def asked(stage: str, variable: str) -> Any:
    """What the function is invoked with, so that it wants the setting."""
    if stage == "serve":
        return _request(ROUTES.get(variable, "/api/v1/events"))
    return {"collect": BATCH, "enrich": RECORDS}.get(stage, TICK)


def _request(resource: str) -> dict[str, Any]:
    headers = bearer(dev_keys.ADMIN)
    parameters = {"erasure_id": "0193a1b2-c3d4-7e5f-8a9b-000000000040"}
    context = {"httpMethod": "GET", "resourcePath": resource, "path": resource, "identity": {"sourceIp": "127.0.0.1"}}
    return {
        "resource": resource,
        "path": resource,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": context,
        "body": None,
        "isBase64Encoded": False,
    }


def holds_its_work(stage: str, answer: dict[str, Any]) -> bool:
    """Whether who asked knows to come again: a client, the queue, or whoever reads what a tick did."""
    if stage in ("collect", "serve"):
        return answer["statusCode"] == 503 and bool(answer["headers"]["Retry-After"])
    if stage == "enrich":
        kept = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        # Unavailable: no try is counted against the messages.
        return kept == {record["messageId"] for record in RECORDS["Records"]} and bool(answer["unavailable"])
    return bool(answer["state"] == "failed")


def is_named(variable: str, said: Said) -> None:
    assert any(variable in f"{line['what']} {line.get('detail')}" for line in said.failures), said.everything
    assert "Traceback" not in said.everything
    assert SECRET not in said.everything


CASES = [(stage, name, value) for stage, wrong in WRONG.items() for name, value in wrong.items()]
REFERENCES = [
    (stage, variable)
    for stage, given in functions().items()
    for variable in given["Environment"]["Variables"]
    if variable.endswith("_SECRET")
]


@pytest.mark.parametrize(("stage", "variable", "value"), CASES)
def test_it_is_named_in_the_log_and_who_asked_comes_again(stage: str, variable: str, value: str) -> None:
    said = invoked(stage, asked(stage, variable), **{variable: value})
    assert holds_its_work(stage, said.answer), said
    is_named(variable, said)
    assert stage not in ("collect", "serve") or variable not in json.dumps(said.answer)


@pytest.mark.parametrize(("stage", "variable"), REFERENCES)
def test_a_secret_in_place_of_its_reference_is_not_shown(stage: str, variable: str) -> None:
    said = invoked(stage, asked(stage, variable), **{variable: SECRET})
    assert holds_its_work(stage, said.answer), said
    is_named(variable, said)


@pytest.mark.parametrize("stage", [pytest.param(stage, id=f"{stage}-localstack") for stage in functions()])
def test_a_secret_that_is_not_there_is_named_with_its_reference(stage: str) -> None:
    missing = f"arn:aws:secretsmanager:{surroundings.REGION}:000000000000:secret:none-AbCdEf"
    variable = "WEIR_CLICKHOUSE_PASSWORD_SECRET"
    told = surroundings.aws(localstack())
    said = invoked(stage, asked(stage, variable), **told, **{variable: missing})
    assert holds_its_work(stage, said.answer), said
    is_named(variable, said)
    assert f"{missing} cannot be read: ResourceNotFoundException" in said.everything


class _Refusing(BaseHTTPRequestHandler):
    """A store that knows no such password, in ClickHouse's words."""

    def do_POST(self) -> None:
        body = b"Code: 516. DB::Exception: weir: Authentication failed. (AUTHENTICATION_FAILED) (version 25.8.1.1)"
        self.send_response(403)
        self.send_header("X-ClickHouse-Exception-Code", "516")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("stage", ["serve", "enrich", "measure"])
def test_a_password_that_the_store_refuses_is_named_and_what_waits_stays(stage: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as store:
        threading.Thread(target=store.serve_forever, args=(0.01,), daemon=True).start()
        wrong = {"WEIR_CLICKHOUSE_URL": f"http://127.0.0.1:{store.server_port}", "WEIR_CLICKHOUSE_PASSWORD": SECRET}
        said = invoked(stage, asked(stage, ""), **wrong)
        store.shutdown()
    assert holds_its_work(stage, said.answer), said
    assert "AUTHENTICATION_FAILED: look at WEIR_CLICKHOUSE_USER and WEIR_CLICKHOUSE_PASSWORD" in said.everything
    assert "Traceback" not in said.everything
    assert SECRET not in said.everything


def test_a_dry_run_of_a_function_that_is_not_set_up_shows_nothing_and_names_it() -> None:
    said = invoked("enrich", RECORDS | {"dry_run": True}, WEIR_CLICKHOUSE_URL="")
    assert said.answer["state"] == "failed"
    is_named("WEIR_CLICKHOUSE_URL", said)


def test_a_queue_without_an_address_is_named() -> None:
    said = invoked("collect", asked("collect", ""), WEIR_QUEUE="sqs", WEIR_SQS_QUEUE_URL="")
    assert said.answer["statusCode"] == 503
    is_named("WEIR_SQS_QUEUE_URL", said)


def test_where_nothing_is_set_up_the_function_still_lives() -> None:
    wrong = {name: value for name, value in WRONG["serve"].items() if name not in KEYS}
    said = invoked("serve", _request("/health"), **wrong)
    assert (said.answer["statusCode"], said.failures) == (200, [])
