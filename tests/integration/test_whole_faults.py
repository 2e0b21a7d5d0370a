"""The batches as they are wired, disturbed: in the end both stores hold what they would hold without."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.errors import StoreUnavailable
from tests.integration.test_whole_batches import ARRIVALS, SECOND, event, events
from tests.support.clickhouse import ROOT
from tests.support.deliveries import NOW
from tests.support.polling import until
from tests.support.whole import NOT_COUNTED, Whole, running

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def module_whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with running(tmp_path_factory.mktemp("faults")) as whole:
        yield whole


@pytest.fixture
def whole(module_whole: Whole) -> Whole:
    # A test that failed between the death of an engine and its return is not to cost those after it.
    for engine in (module_whole.clickhouse, module_whole.questdb):
        if not engine.running():
            engine.start()
    module_whole.clear()
    return module_whole


def split(arrivals: Sequence[Any], parts: int) -> list[Sequence[Any]]:
    size = -(-len(arrivals) // parts)
    return [arrivals[first : first + size] for first in range(0, len(arrivals), size)]


def undisturbed(whole: Whole) -> tuple[Any, ...]:
    whole.batches.record(ARRIVALS)
    whole.measure()
    found = whole.rows()
    whole.clear()
    return found


def soon(act: Callable[[], None]) -> None:
    threading.Timer(0.01, act).start()


def test_kill_9_of_clickhouse_in_the_midst_of_any_part_of_a_run(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = undisturbed(whole)
    run, left = ClickHouseBatch.run, [0]

    def killing(store: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> None:
        left[0] -= sql.startswith("INSERT") and not sql.startswith(NOT_COUNTED)
        if left[0] == 0:
            left[0] = -1
            soon(whole.clickhouse.kill)
        run(store, sql, parameters)

    monkeypatch.setattr(ClickHouseBatch, "run", killing)
    for part, statement in zip(split(ARRIVALS, 4), (2, 5, 9, 15), strict=True):
        whole.batches.record(part)
        left[0] = statement
        with contextlib.suppress(StoreUnavailable):
            whole.run()
        until(lambda: not whole.clickhouse.running(), 20, "the end of the server")
        whole.clickhouse.start()
    left[0] = -1
    whole.measure()
    assert whole.rows() == wanted


def test_kill_9_of_questdb_in_the_midst_of_what_it_is_told(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = undisturbed(whole)
    write, left = QuestDbSeries.write, [0]
    at_once = [True]

    def killing(store: QuestDbSeries, table: Any, rows: Sequence[Any]) -> None:
        left[0] -= 1
        if left[0] == 0:
            whole.questdb.kill() if at_once[0] else soon(whole.questdb.kill)
        write(store, table, rows)

    monkeypatch.setattr(QuestDbSeries, "write", killing)
    # Killed before a write, that one cannot be told; killed within one, it may be there or not, and be the last.
    for part, (nth, at_once[0]) in zip(split(ARRIVALS, 3), ((1, True), (2, True), (1, False)), strict=True):
        whole.batches.record(part)
        left[0] = nth
        whole.run()
        until(lambda: not whole.questdb.running(), 20, "the end of QuestDB")
        state = whole.run().state
        assert state == "unfinished" or not at_once[0]
        whole.questdb.start()
    whole.measure()
    assert whole.rows() == wanted


def test_kill_9_of_the_process_that_measures(whole: Whole) -> None:
    wanted = undisturbed(whole)
    command = [sys.executable, "-m", "infra.cli.main", "measure"]
    at_work = "SELECT count() AS n FROM system.processes WHERE startsWith(Settings['log_comment'], 'measure ')"
    for part in split(ARRIVALS, 3):
        whole.batches.record(part)
        with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL) as process:
            until(lambda: whole.batches.rows(at_work)[0]["n"] > 0, 60, "a statement")
            process.kill()
    whole.measure()
    assert whole.rows() == wanted


def test_while_events_are_recorded_two_schedulers_lose_none_and_count_none_twice(whole: Whole) -> None:
    blocks, done = split(ARRIVALS, 12), threading.Event()

    def schedule(_: int) -> None:
        while not done.is_set():
            whole.run(wait_seconds=0)

    with ThreadPoolExecutor(4) as pool:
        schedulers = [pool.submit(schedule, number) for number in range(2)]
        list(pool.map(whole.batches.record, blocks))
        done.set()
        for one in schedulers:
            one.result()
    whole.measure()
    whole.check(ARRIVALS)


def test_a_clock_set_back_and_a_month_without_events_change_nothing(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, clock = random.Random(1), time.time_ns
    first = events(1, 20, NOW - 30 * 86_400 * SECOND)
    whole.batches.record(first)
    whole.measure()
    monkeypatch.setattr(time, "time_ns", lambda: clock() - 40 * 86_400 * SECOND)
    second = [event(chance, NOW - n * 900 * SECOND, anonymous_id="d1", user_ref="ann") for n in range(4)]
    whole.batches.record(second)
    whole.die(4)
    third = [event(chance, NOW - 450 * SECOND, anonymous_id="d1")]
    whole.batches.record(third)
    whole.measure()
    whole.check([*first, *second, *third])
