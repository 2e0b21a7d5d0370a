"""What is deployed of each function: how large it is, and what it loads before its first invocation."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.packaging import STAGES, build
from tests.support.packages import MEGABYTE, zipped

pytestmark = pytest.mark.engines

LARGEST_MB = {"collect": 10, "enrich": 18, "measure": 40, "serve": 15}
_ALL = {
    "_sysconfigdata",  # a module of Python's own, by a name that tells the platform
    "annotated_types",
    "aws_lambda_powertools",
    "functions",
    "jmespath",
    "msgspec",
    "pydantic",
    "pydantic_core",
    "schemas",
    "typing_extensions",
    "typing_inspection",
}
# What else a cold start may load. The stores' clients come with the first use of a store.
MAY_LOAD = {
    "collect": _ALL | {"chalice", "nats"},
    "enrich": _ALL | {"jsonschema_rs", "maxminddb", "orjson", "tzdata"},
    # Each run of measure takes tallies from the broker to the ledger.
    "measure": _ALL | {"_cython", "cython_runtime", "nats", "numpy", "orjson", "psycopg", "psycopg_binary", "questdb"},
    "serve": _ALL | {"chalice"},
}
# What costs a cold start some milliseconds each, most of it Python's own, and may not come back where it is gone.
TOO_DEAR = {
    "collect": {
        "functions.shared.domain.notification",
        "functions.shared.domain.privacy",
        "functions.shared.domain.series",
        "functions.shared.settings.measure",
        "http",
        "multiprocessing",
        "nats.js.api",
        "schemas.rows",
        "tomllib",
        "xml",
    },
    "enrich": {"asyncio", "functions.shared.settings.measure", "http", "xml"},
    "measure": {"multiprocessing", "nats.js.api", "xml"},
    "serve": {
        "asyncio",
        "email",
        "functions.serve.openapi",
        "functions.shared.settings.measure",
        "http",
        "importlib.metadata",
        "multiprocessing",
        "xml",
        "zipfile",
    },
}
_COLD_START = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
stage = sys.argv[2]
importlib.import_module(f"functions.{stage}.app")
getattr(importlib.import_module("functions.shared.wiring"), f"{stage}_service")()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for stage in STAGES:
        build(stage, folder / stage)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_package_is_small(packages: Path, stage: str) -> None:
    size = len(zipped(packages / stage))
    assert size < LARGEST_MB[stage] * MEGABYTE, f"{stage} has {size / MEGABYTE:.1f} MB"


@pytest.mark.parametrize("stage", STAGES)
def test_a_cold_start_loads_nothing_but_what_it_needs(packages: Path, stage: str) -> None:
    names = {name.partition(".")[0] for name in _loaded(packages, stage)} - {"__main__", "__mp_main__"}
    loaded = {_without_version(name) for name in names - sys.stdlib_module_names}
    assert not loaded - MAY_LOAD[stage], f"{stage} loads {sorted(loaded - MAY_LOAD[stage])} before it is asked anything"


@pytest.mark.parametrize("stage", STAGES)
def test_a_cold_start_does_without_what_is_dear(packages: Path, stage: str) -> None:
    found = _loaded(packages, stage) & TOO_DEAR[stage]
    assert not found, f"{stage} loads {sorted(found)} before it is asked anything"


# What asks AWS, with a client of it. Botocore and what it needs are of Lambda's own runtime.
CLIENTS = {
    "a queue": "SqsQueue(settings.QueueSettings(sqs_queue_url='http://127.0.0.1:1/1/q'))",
    "a secret": "secret_references._client('secretsmanager')",
    "a parameter": "secret_references._client('ssm')",
    "a dry run": "LambdaPreview('enrich')._connected()",
    "a notification": "SnsSink('arn:aws:sns:eu-west-1:123456789012:alerts')._connected()",
}


@pytest.mark.parametrize("asks", CLIENTS)
def test_what_asks_aws_does_not_load_boto3(packages: Path, asks: str) -> None:
    asked = (
        "import os; os.environ['AWS_DEFAULT_REGION'] = 'eu-west-1'; from functions.shared import settings;"
        " from functions.shared.adapters import secret_references; from functions.shared.adapters.sqs_queue import"
        " SqsQueue; from functions.shared.adapters.lambda_preview import LambdaPreview;"
        f" from functions.shared.adapters.sns_sink import SnsSink; {CLIENTS[asks]};"
        " print('botocore' in sys.modules, 'boto3' in sys.modules)"
    )
    assert _told(packages / "collect", asked) == "True False"


_READS_A_SECRET = """
import os
from functions.shared.adapters import aws_signed, secret_references
for name in aws_signed.ELSEWHERE:
    os.environ.pop(name, None)
os.environ.update(AWS_LAMBDA_FUNCTION_NAME="one", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
os.environ.update(AWS_REGION="eu-west-1", AWS_ENDPOINT_URL="http://127.0.0.1:1")
try:
    secret_references.read("/weir/one")
except secret_references.NotReached:
    print("botocore" in sys.modules)
"""


def test_a_function_that_reads_a_secret_does_not_wait_for_botocore(packages: Path) -> None:
    assert _told(packages / "collect", _READS_A_SECRET) == "False"


def test_who_asks_the_client_of_nats_for_jetstream_gets_it(packages: Path) -> None:
    asked = (
        "from nats.aio.client import Client; import nats.js, sys; early = 'nats.js.client' in sys.modules;"
        " context = Client().jetstream(); from nats.js import JetStreamManager, api;"
        " print(early, isinstance(context, JetStreamManager), api.Header.STATUS.value, hasattr(nats.js, 'absent'))"
    )
    assert _told(packages / "collect", asked) == "False True Status False"


def _told(package: Path, asked: str) -> str:
    """What a program prints over the package, before all else that is installed."""
    path = f"import sys; sys.path.insert(0, {str(package)!r}); "
    done = subprocess.run([sys.executable, "-c", path + asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _loaded(packages: Path, stage: str) -> set[str]:
    """The modules that are loaded once the service is there."""
    command = [sys.executable, "-I", "-S", "-c", _COLD_START, str(packages / stage), stage]
    done = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def _without_version(name: str) -> str:
    """Cython and Python tell their version and platform in the names of two modules."""
    return next((known for known in ("_cython", "_sysconfigdata") if name.startswith(f"{known}_")), name)
