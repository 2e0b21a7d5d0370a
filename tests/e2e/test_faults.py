"""Whatever dies, every acknowledged event is stored exactly once: a witness writes down what was acknowledged."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest

from infra.local.stack import FREE, Stack
from tests.support.polling import until


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


def test_the_whole_stack_killed_in_mid_import_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with Stack(data_dir=tmp_path, ports=FREE, queue="nats", geo=False) as first, Witness(first.base_url) as witness:
        until(lambda: len(witness.acknowledged) > 300, 60, "events before the kill")
        for part in ("event source", "clickhouse", "nats", "emulator"):
            first.kill(part)
    with Stack(data_dir=tmp_path, ports=FREE, queue="nats", geo=False) as second:
        until(lambda: witness.acknowledged <= set(stored(second.clickhouse_url)), 120, "every acknowledged event")
        rows = stored(second.clickhouse_url)
        assert len(rows) == len(set(rows))
