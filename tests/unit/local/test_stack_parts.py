"""The laptop stack's small parts."""

import json
import os
from pathlib import Path

import pytest

from infra.local import logs, state, surroundings
from infra.local.front_door import upstream
from infra.local.functions import _reason
from infra.local.reload import affected
from infra.local.stack import FREE, Stack


def test_an_edit_of_one_function_concerns_it_and_those_that_are_packed_with_it(tmp_path: Path) -> None:
    assert affected([tmp_path / "functions/collect/app.py"], tmp_path) == ["collect"]
    assert affected([tmp_path / "functions/enrich/app.py"], tmp_path) == ["enrich", "measure"]


def test_an_edit_of_what_no_package_holds_concerns_none(tmp_path: Path) -> None:
    assert affected([tmp_path / "functions/Makefile"], tmp_path) == []


@pytest.mark.parametrize("path", ["functions/shared/errors.py", "schemas/event.py", "functions/__init__.py"])
def test_an_edit_of_what_is_shared_concerns_each(path: str, tmp_path: Path) -> None:
    assert affected([tmp_path / path], tmp_path) == ["collect", "enrich", "measure", "serve"]


def test_one_stack_a_folder(tmp_path: Path) -> None:
    lock = state.Lock.take(tmp_path)
    with pytest.raises(state.AlreadyRunning, match=f"pid {os.getpid()}"):
        state.Lock.take(tmp_path)
    lock.release()
    state.Lock.take(tmp_path).release()


def test_the_state_of_no_stack_is_empty(tmp_path: Path) -> None:
    assert state.read(tmp_path) == {}
    assert state.end_leftovers(tmp_path) == []


def test_a_process_that_only_has_the_same_number_is_left_alone(tmp_path: Path) -> None:
    state.write(tmp_path, {"services": {"nats": {"pid": os.getpid(), "born": "another time"}}})
    assert state.end_leftovers(tmp_path) == []


def test_a_process_is_named_by_its_birth() -> None:
    assert state.birth(os.getpid())
    assert state.birth(os.getpid()) == state.birth(os.getpid())
    assert state.birth(2**22 + 1) == ""


def test_a_long_log_is_moved_aside_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MOST_BYTES", 10)
    log = tmp_path / "a.log"
    with log.open("a") as writer:
        writer.write("0123456789ABC")
        writer.flush()
        logs.bound(tmp_path)
        writer.write("more")
    assert log.read_text() == "more"
    assert (tmp_path / "a.log.1").read_text() == "0123456789ABC"


def test_the_end_of_a_log_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert logs.tail(log, 2) == "    line 998\n    line 999"
    assert logs.tail(tmp_path / "none.log") == ""


def test_a_real_account_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("WEIR_LIMIT_BATCH_EVENTS", "7")
    variables = surroundings.clean(**surroundings.aws("http://127.0.0.1:4566"))
    assert "AWS_PROFILE" not in variables
    assert "AWS_SESSION_TOKEN" not in variables
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["WEIR_LIMIT_BATCH_EVENTS"] == "7"


def test_the_door_sees_the_upstream_when_it_changes(tmp_path: Path) -> None:
    file = upstream.UpstreamFile(tmp_path / "upstream.json")
    assert file.current().url is None
    upstream.write(tmp_path / "upstream.json", "http://a", [("GET", "/health", "serve")])
    assert file.current().url == "http://a"
    assert file.current().routes.find("/health")
    upstream.write(tmp_path / "upstream.json", None, [])
    assert file.current().url is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json.dumps({"errorMessage": "Worker init failed: No module named 'x'"}), "No module named 'x'"),
        (json.dumps({"message": json.dumps({"errorMessage": "boom"})}), "boom"),
        ("plain", "plain"),
        ("{}", "{}"),
    ],
)
def test_the_emulators_errors_are_unwrapped(answer: str, reason: str) -> None:
    assert _reason(answer) == reason


def test_the_secret_of_hashed_values_reaches_the_functions_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_PRIVACY_SECRET", "hunter2-hunter2-hunter2")
    stack = Stack(data_dir=tmp_path, ports=FREE)
    stack._given_clickhouse = stack._given_questdb = ""
    assert stack._secrets() == {"PrivacySecret": "hunter2-hunter2-hunter2"}
