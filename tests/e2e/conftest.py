"""The stack that users run, on free ports and in a folder of its own, once for each broker."""

from collections.abc import Iterator

import httpx
import pytest

from infra.local.stack import FREE, Stack


@pytest.fixture(scope="session", params=["nats", "sqs"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp(f"stack-{request.param}")
    with Stack(data_dir=folder, ports=FREE, queue=request.param, geo=False) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.base_url, timeout=30, headers={"Authorization": "Bearer wk_local"}) as http:
        yield http
