"""Whatever dies, every acknowledged event is stored exactly once: a witness writes down what was acknowledged."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import clickhouse_connect
import httpx
import pytest

from infra.cli.importing.run import FOLDER
from infra.cli.importing.sending import BATCH_EVENTS
from infra.local import ports, state
from infra.local.paths import ROOT
from infra.local.stack import FREE, Stack
from tests.support.polling import until

LINES = 10_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(data_dir=tmp_path_factory.mktemp("faults"), ports=FREE, queue="nats", geo=False) as running:
        yield running


class Witness:
    """Posts batches until told to stop and writes down every id that was acknowledged."""

    def __init__(self, base_url: str) -> None:
        self.acknowledged: set[str] = set()
        self._stop = threading.Event()
        self._url = base_url
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                ids = [str(uuid.uuid4()) for _ in range(50)]
                events = [{"event_id": one, "event_type": "t", "event_name": "n", "platform": "p"} for one in ids]
                try:
                    answer = client.post("/api/v1/events/batch", json=events)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 202 and answer.json()["rejected"] == 0:
                    self.acknowledged.update(ids)
                elif answer.status_code == 503:
                    assert answer.headers["retry-after"]
                self._stop.wait(0.02)


def stored(url: str) -> list[str]:
    try:
        with clickhouse_connect.get_client(dsn=url, database="weir") as store:
            rows = store.query("SELECT toString(event_id) FROM processed_events").result_rows
            raw = store.query("SELECT count(), uniqExact(event_id) FROM raw_events").result_rows[0]
    except Exception:
        return []
    return [row[0] for row in rows] if raw[0] == raw[1] == len(rows) else []


@pytest.mark.parametrize("victim", ["nats", "clickhouse", "event source", "emulator"])
def test_every_acknowledged_event_is_stored_exactly_once_when_a_part_is_killed(stack: Stack, victim: str) -> None:
    with Witness(stack.base_url) as witness:
        until(lambda: len(witness.acknowledged) > 300, 60, "events before the kill")
        stack.kill(victim)
        before = len(witness.acknowledged)
        until(lambda: len(witness.acknowledged) > before + 300, 90, "events after the kill")
    until(lambda: witness.acknowledged <= set(stored(stack.clickhouse_url)), 120, "every acknowledged event")
    rows = stored(stack.clickhouse_url)
    assert len(rows) == len(set(rows))


def test_an_import_goes_on_after_everything_was_killed_and_every_line_is_stored_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was in hand at the kill comes again after this time; the event source's heartbeats keep what it works at.
    monkeypatch.setenv("WEIR_NATS_ACK_WAIT_SECONDS", "5")
    log = tmp_path / "events.ndjson"
    run_id = str(uuid.uuid4())
    event = {"event_type": "t", "event_name": "n", "platform": "p"}
    lines = [json.dumps({**event, "properties": {"line": line, "run": run_id}}) for line in range(LINES)]
    log.write_text("\n".join(lines) + "\n")
    account = FOLDER / f"{hashlib.sha256(log.read_bytes()).hexdigest()}.json"
    data, port = tmp_path / "data", ports.choose(0, set())
    everything = [stack_elsewhere(data, port)]
    try:
        everything.append(importing(log, port, "--rate", "2500"))
        until(lambda: acknowledged(account) >= 3 * BATCH_EVENTS, 60, "batches before the kill")
        kill_at_once(everything, data)
        before = acknowledged(account)
        assert before < LINES
        with Stack(data_dir=data, ports={**FREE, "front door": port}, queue="nats", geo=False) as again:
            told, _ = importing(log, port).communicate(timeout=60)
            outcome = json.loads(told)
            assert (outcome["complete"], outcome["accepted"], outcome["rejected"]) == (True, LINES, 0)
            until(lambda: len(stored(again.clickhouse_url)) >= LINES, 60, "every line")
            rows = stored(again.clickhouse_url)
            assert (len(rows), len(set(rows))) == (LINES, LINES)
    finally:
        kill_at_once(everything, data)
        account.unlink(missing_ok=True)


def stack_elsewhere(data: Path, port: int) -> subprocess.Popen[str]:
    """A stack in a process of its own, once it is up."""
    code = f"""
        import signal
        from pathlib import Path
        from infra.local.stack import FREE, Stack
        with Stack(data_dir=Path({str(data)!r}), ports={{**FREE, "front door": {port}}}, queue="nats", geo=False):
            print("up", flush=True)
            signal.pause()
    """
    process = subprocess.Popen([sys.executable, "-c", dedent(code)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "up\n"
    return process


def importing(log: Path, port: int, *more: str) -> subprocess.Popen[str]:
    """`weir import` at work."""
    url = f"http://{ports.HOST}:{port}"
    command = [sys.executable, "-m", "infra.cli.main", "import", str(log), "--format", "ndjson", "--json", "--url", url]
    return subprocess.Popen([*command, *more], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def acknowledged(account: Path) -> int:
    """The lines that the importer knows to be acknowledged."""
    return int(json.loads(account.read_text())["progress"]["acknowledged"]) if account.exists() else 0


def kill_at_once(processes: Sequence[subprocess.Popen[str]], data: Path) -> None:
    """kill -9 of the processes and of every service of the stack, with no time for any of them to say good-bye."""
    services = [service["pid"] for service in state.read(data).get("services", {}).values()]
    for process in processes:
        process.kill()
    for pid in services:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for process in processes:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
