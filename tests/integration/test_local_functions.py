"""The functions on the emulator, from a copy of the checkout that the tests may edit."""

import http.client
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.paths import ROOT
from infra.local.stack import EVERYTHING, FREE, Stack
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


def ask(stack: Stack, method: str, path: str, body: Any = None) -> tuple[int, http.client.HTTPMessage, Any]:
    connection = http.client.HTTPConnection(stack.base_url.removeprefix("http://"), timeout=40)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
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
        connection.request(method, filled)
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


def test_what_the_functions_log_is_in_a_file(stack: Stack) -> None:
    log = stack.logs_dir / "functions.log"
    until(lambda: log.exists() and "collect {" in log.read_text(), 20, "a line of collect in the log")


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
