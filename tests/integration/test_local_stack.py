"""The laptop stack with real engines: what dies comes back, what is killed leaves nothing behind."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.domain.series import METRICS
from functions.shared.settings import SeriesSettings
from infra.local import engines, ports, processes, questdb, state, tools
from infra.local.paths import ROOT
from infra.local.stack import ENGINES, FREE, PortTaken, Stack
from tests.contract.test_series_contract import metric
from tests.support.polling import until

pytestmark = pytest.mark.engines
UP_SECONDS = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(ROOT, tmp_path_factory.mktemp("stack"), FREE, ENGINES, queue="nats", geo=False) as running:
        yield running


def query(url: str, sql: str) -> str:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", "/", sql.encode())
        return connection.getresponse().read().decode().strip()
    finally:
        connection.close()


def test_the_engines_answer_and_are_prepared(stack: Stack) -> None:
    assert query(stack.clickhouse_url, "SELECT count() FROM system.tables WHERE database = 'weir'") != "0"
    written = state.read(stack.data_dir)
    assert written["pid"] == os.getpid()
    assert written["variables"]["WEIR_NATS_URL"] == stack.nats_url
    assert {name: one["state"] for name, one in written["services"].items()} == {
        "nats": "ready",
        "clickhouse": "ready",
        "questdb": "ready",
    }
    assert _tables(stack) >= {"metrics", "sessions", "anomalies"}


def test_every_listener_is_on_loopback(stack: Stack) -> None:
    for service in stack.running.values():
        assert service.service.port
        assert _listens_only_on_loopback(service.service.port)
        assert _listeners(service.pid)
        assert {address for address, _ in _listeners(service.pid)} == {"0100007F"}


def test_what_questdb_took_is_found_again_after_it_was_killed(stack: Stack) -> None:
    settings = SeriesSettings(questdb_url=stack.questdb_url, questdb_pg_port=stack.questdb_pg_port)
    store, row = QuestDbSeries(settings), metric("survivor")
    store.write(METRICS, [row])
    before = stack.kill("questdb")
    stack.wait_back("questdb", before)
    store.await_visible(METRICS)
    assert store.query("SELECT value, state FROM metrics WHERE metric_name = 'survivor'") == [(row.value, row.state)]


def test_a_questdb_that_was_given_is_used_and_none_is_started(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_QUESTDB_URL", stack.questdb_url)
    monkeypatch.setenv("WEIR_QUESTDB_PG_PORT", str(stack.questdb_pg_port))
    with Stack(ROOT, tmp_path, FREE, {"questdb"}, geo=False) as other:
        assert not other.running
        assert other.variables()["WEIR_QUESTDB_URL"] == stack.questdb_url
        assert other.variables()["WEIR_QUESTDB_PG_PORT"] == str(stack.questdb_pg_port)


def test_a_server_that_cannot_be_fetched_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb, "_FETCH", "import sys; sys.exit('no route to the repository')")
    said: list[str] = []
    with pytest.raises(tools.ToolUnavailable, match=r"no route to the repository\n.*WEIR_QUESTDB_URL"):
        questdb.jar(tmp_path, said.append)
    assert said == [f"fetching QuestDB {questdb.VERSION}, 30 MB (once)"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_server_that_is_not_the_one_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "import sys; open(sys.argv[2] + '/other.jar', 'w').close(); print(sys.argv[2] + '/other.jar')"
    monkeypatch.setattr(questdb, "_FETCH", other)
    with pytest.raises(tools.ToolUnavailable, match="not the server"):
        questdb.jar(tmp_path, lambda _: None)
    assert not list(tmp_path.rglob("*.jar"))


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_killed_engine_comes_back_on_its_port(stack: Stack, name: str) -> None:
    service = stack.running[name]
    before, pid = stack.kill(name), service.pid
    stack.wait_back(name, before)
    assert service.pid != pid
    assert engines.listens(service.service.port)


def test_a_second_stack_on_the_folder_is_refused(stack: Stack) -> None:
    with pytest.raises(state.AlreadyRunning, match="already running"), Stack(ROOT, stack.data_dir, FREE, ENGINES):
        pass
    assert state.read(stack.data_dir)["pid"] == os.getpid()


def test_a_taken_front_door_is_named_by_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        wanted = {**FREE, "front door": port}
        with pytest.raises(PortTaken, match=f"{port} is taken by .*pid {os.getpid()}"):
            Stack(ROOT, tmp_path, wanted, {"front door"}, geo=False).__enter__()


def test_an_engines_port_moves_when_it_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert ports.choose(port, set()) != port
        assert not ports.is_free(port)
    assert ports.choose(port, {port}) != port


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such engine')"]
    service = processes.Service("engine", command, {}, tmp_path / "engine.log", is_ready=lambda: False)
    guardian = processes.Guardian()
    supervised = processes.Supervised(service, guardian, lambda: None)
    supervised.start()
    with pytest.raises(processes.NotReady, match=r"engine did not come up \(exit status 1\):\n.*no such engine"):
        supervised.wait_ready()
    supervised.join()
    guardian.close()


def test_a_service_that_is_stopped_before_its_process_is_there_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guardian, spawn = processes.Guardian(), processes.Supervised._spawn
    service = processes.Service("sleeper", ["sleep", "60"], {}, tmp_path / "log", is_ready=lambda: True)
    supervised = processes.Supervised(service, guardian, lambda: None)

    def stopped_first(one: processes.Supervised) -> subprocess.Popen[bytes]:
        one.stop()
        return spawn(one)

    monkeypatch.setattr(processes.Supervised, "_spawn", stopped_first)
    try:
        supervised.start()
        until(lambda: supervised.state == "stopped", 20, "the end of the service")
    finally:
        supervised.force()
        supervised.join()
        guardian.close()


def test_a_service_that_says_it_is_lost_is_started_anew(tmp_path: Path) -> None:
    guardian, lost = processes.Guardian(), threading.Event()
    service = processes.Service(
        "sleeper", ["sleep", "60"], {}, tmp_path / "log", is_ready=lambda: True, is_lost=lost.is_set
    )
    supervised = processes.Supervised(service, guardian, lambda: None)
    try:
        supervised.start()
        supervised.wait_ready()
        first = supervised.pid
        lost.set()
        until(lambda: supervised.pid != first, 20, "another process")
        lost.clear()
        until(lambda: supervised.state == "ready", 20, "the service")
    finally:
        supervised.stop()
        supervised.join()
        guardian.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_nothing_outlives_the_stack(tmp_path: Path, number: signal.Signals) -> None:
    process = _start_elsewhere(tmp_path)
    services = state.read(tmp_path)["services"]
    process.send_signal(number)
    process.wait(20)
    for service in services.values():
        until(lambda pid=service["pid"]: state.birth(pid) == "", 15, f"the end of {service}")
    # And the folder can be used again at once.
    with Stack(ROOT, tmp_path, FREE, {"nats"}, queue="nats", geo=False) as again:
        assert engines.listens(again.running["nats"].service.port)


def test_a_stack_after_a_killed_one_does_not_wait_for_the_guardian(tmp_path: Path) -> None:
    process = _start_elsewhere(tmp_path)
    process.kill()
    process.wait(20)
    with Stack(ROOT, tmp_path, FREE, ENGINES, queue="nats", geo=False) as again:
        assert query(again.clickhouse_url, "SELECT 1") == "1"


def _start_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """A stack in a process of its own, once it is up."""
    code = f"""
        import signal, sys
        from pathlib import Path
        from infra.local.stack import ENGINES, FREE, Stack
        def end(*_): raise SystemExit
        signal.signal(signal.SIGTERM, end)
        with Stack(Path({str(ROOT)!r}), Path({str(folder)!r}), FREE, ENGINES, queue="nats", geo=False):
            print("up", flush=True)
            signal.pause()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "up\n"
    return process


def _tables(stack: Stack) -> set[str]:
    settings = SeriesSettings(questdb_url=stack.questdb_url, questdb_pg_port=stack.questdb_pg_port)
    return {row[0] for row in QuestDbSeries(settings).query("SELECT table_name FROM tables()")}


def _listeners(pid: int) -> set[tuple[str, str]]:
    """The address and port of each socket on which a process listens."""
    own = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                address, _, port = fields[1].partition(":")
                found.add((address, port))
    return found


def _listens_only_on_loopback(port: int) -> bool:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {line[1].split(":")[0] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")}
    lines6 = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    on_six = any(line[3] == "0A" and line[1].endswith(f":{port:04X}") for line in lines6)
    return addresses == {"0100007F"} and not on_six


def test_the_state_file_is_json_at_any_moment(stack: Stack) -> None:
    before = stack.kill("nats")
    for _ in range(200):
        json.loads((stack.data_dir / "stack.json").read_text())
    stack.wait_back("nats", before)
