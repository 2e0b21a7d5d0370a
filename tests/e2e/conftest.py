"""The stack that users run, on free ports and in a folder of its own, once for each broker; and its API's hosts."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.shared import wiring
from functions.shared.ports import Queue
from infra.local import surroundings
from infra.local.functions import STACK_NAME
from infra.local.stack import FREE, Stack
from tests.support import sam_local
from tests.support.in_process import InProcess
from tests.support.keys import KeyAuth

SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"


@pytest.fixture(scope="session", params=["nats", "sqs"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp(f"stack-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIR_SCHEMAS_PATH", str(SCHEMAS))
        with Stack(data_dir=folder, ports=FREE, queue=request.param, geo=False, containers=True) as running:
            yield running


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> str:
    """Where the functions run: ``laptop`` (the stack's own), ``sam`` or ``process``."""
    return str(getattr(request, "param", "laptop"))


@pytest.fixture(scope="session")
def sam_url(stack: Stack) -> Iterator[str]:
    """`sam local start-api` on the engines of the stack."""
    sam_local.needs_docker()
    sam_local.build()
    api = sam_local.StartApi(stack.sam_variables, stack.logs_dir / "sam_local.log")
    api.start()
    yield api.url
    api.stop()


# Not for the session: other stacks take this process's variables for engines that an operator named.
@pytest.fixture(scope="module")
def in_process(stack: Stack) -> Iterator[InProcess]:
    """The handlers in this process, told of the stack as the functions are."""
    assert stack.functions is not None
    with pytest.MonkeyPatch.context() as patch:
        enrich = {"WEIR_ENRICH_FUNCTION": f"{STACK_NAME}-enrich"}
        for name, value in {**stack.variables(), **surroundings.aws(stack.emulator_url), **enrich}.items():
            patch.setenv(name, value)
        forget_services()
        queues = []

        def queue(*settings: Any) -> Queue:
            queues.append(made(*settings))
            return queues[-1]

        made = wiring.queue
        patch.setattr(wiring, "queue", queue)
        yield InProcess(stack.functions.routes())
        for each in queues:
            each.close()
    forget_services()


def forget_services() -> None:
    """What was made once for this process was made for other engines."""
    for module in (wiring, importlib.import_module("functions.serve.app")):
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()


@pytest.fixture
def client(stack: Stack, host: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    if host == "process":
        with httpx.Client(
            base_url="http://weir", transport=request.getfixturevalue("in_process"), auth=KeyAuth()
        ) as http:
            yield http
        return
    url = request.getfixturevalue("sam_url") if host == "sam" else stack.base_url
    with httpx.Client(base_url=url, timeout=30, auth=KeyAuth()) as http:
        yield http
