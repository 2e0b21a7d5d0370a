"""Runs of the batches that die, meet each other, or find a store away: the result is that of an undisturbed one."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functions.measure.database import Database
from functions.measure.lease import Lease, LeaseLost
from functions.measure.rebuilding import plan_rebuild
from functions.measure.runs import LATE_SECONDS, Journal, behind, computed, last
from functions.measure.service import Range
from functions.measure.standing import standing
from functions.measure.stitching.stitcher import Step, Stitcher
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.domain.series import SeriesTable
from functions.shared.errors import QueueUnavailable, StoreUnavailable
from functions.shared.ports import Depth
from schemas.rows import Delivery
from tests.integration.test_stitching import SECOND, check, event, events
from tests.support.batches import Batches, Died, Mortal
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import NOW
from tests.support.polling import until

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("measure") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def module_batches(server: ClickHouse) -> Batches:
    return Batches(server.url, "measure")


@pytest.fixture
def batches(module_batches: Batches) -> Batches:
    module_batches.clear()
    return module_batches


def half_stitched(batches: Batches) -> list[Delivery]:
    """Events of which some are stitched, and others touch these in every way: late, linking, better deliveries."""
    deliveries = events(11, 29)
    batches.record(deliveries[:50])
    batches.stitch()
    chance = random.Random(5)
    better = event(
        chance, NOW - 7_200 * SECOND, event_id=deliveries[0].raw.event_id, anonymous_id="d2", received_at=NOW - 9
    )
    batches.record([*deliveries[50:], better])
    return [*deliveries, better]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("statement", range(1, 7))
def test_a_run_that_dies_at_any_statement_is_finished_by_the_next(
    batches: Batches, statement: int, after: bool
) -> None:
    deliveries = half_stitched(batches)
    try:
        batches.stitch(around=lambda database: Mortal(database, statement, after), lease_seconds=1.0)
    except Died:
        late = [event(random.Random(statement), NOW - 3_000 * SECOND) for _ in range(3)]
        batches.record(late)
        deliveries += late
    batches.stitch()
    check(batches, deliveries)


def test_what_is_rebuilt_is_what_was_there_and_what_was_lost_is_made_again(batches: Batches) -> None:
    deliveries = half_stitched(batches)
    batches.stitch()
    check(batches, deliveries)
    before = (batches.sessions(), batches.members())
    for lost in ((), ("session_rows", "session_event_rows", "identity_links")):
        for table in lost:
            batches.client.command(f"TRUNCATE TABLE {table}")
        assert plan_rebuild(batches.database(""), None, None, events_at_a_time=20) > 2
        batches.stitch()
        assert (batches.sessions(), batches.members()) == before


def test_days_off_are_caught_up_by_runs_that_stop_in_time_each_after_a_bounded_step(batches: Batches) -> None:
    deliveries, series = events(11, 29), MemorySeries()
    for at in range(0, len(deliveries), 20):
        batches.record(deliveries[at : at + 20])

    def left() -> int:
        return int(batches.rows("SELECT count() AS n FROM touched")[0]["n"])

    runs = 0
    while before := left():
        # No time at all: what a run began it ends, and begins nothing more.
        done = batches.service(series, step_events=40).run(0)
        assert (done.state, done.counts["steps"]) == ("unfinished", 1)
        assert before - 2 <= left() < before
        runs += 1
    assert runs == 3
    assert batches.service(series).run(60).state == "done"
    check(batches, deliveries)
    assert stitched_rows(series)[0] == set(batches.sessions())


def test_a_run_ends_while_events_keep_coming_and_leaves_them_to_the_next(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries, step, steps = events(3, 29), Stitcher.step, itertools.count()
    batches.record(deliveries)

    def while_one_comes(stitcher: Stitcher, *given: Any) -> Step | None:
        number = next(steps)
        assert number < 5, "the run does not end"
        deliveries.append(event(random.Random(number), NOW + number, anonymous_id="d1"))
        batches.record(deliveries[-1:])
        return step(stitcher, *given)

    with monkeypatch.context() as steady:
        steady.setattr(Stitcher, "step", while_one_comes)
        done = batches.service(MemorySeries()).run(60)
    assert (done.state, done.counts["steps"]) == ("done", 1)
    assert batches.rows("SELECT count() AS n FROM touched") == [{"n": 2}]
    assert batches.service(MemorySeries()).run(60).state == "done"
    check(batches, deliveries)


def test_a_range_is_rebuilt_and_the_rest_stays(batches: Batches) -> None:
    deliveries = half_stitched(batches)
    batches.stitch()
    middle = (NOW - 86_400 * SECOND) // SECOND
    assert batches.service(MemorySeries()).run(60, 60, Range(middle, middle + 50_000)).state == "done"
    check(batches, deliveries)


def test_two_at_once_take_turns(batches: Batches) -> None:
    deliveries = events(2, 29)
    batches.record(deliveries)
    with ThreadPoolExecutor(4) as pool:
        states = [done.state for done in pool.map(lambda _: batches.service(MemorySeries()).run(60, 0), range(4))]
    assert set(states) <= {"done", "busy"}
    assert batches.service(MemorySeries()).run(60, 60).state == "done"
    check(batches, deliveries)


def test_who_lost_the_turn_writes_nothing_and_is_told(batches: Batches) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    database = batches.database(first)
    slow = Lease(database, first, lambda: 1, lambda _: None, seconds=0.2)
    assert slow.acquire()
    slow.fall_silent()
    quick = Lease(batches.database(second), second, lambda: 1, time.sleep)
    assert quick.acquire(10)
    try:
        with pytest.raises(LeaseLost):
            slow.version()
        assert quick.version() < quick.version()
    finally:
        quick.release()


def leases_of(monkeypatch: pytest.MonkeyPatch) -> list[Lease]:
    """Those that ask for the turn from now on, in their order."""
    found, acquire = list[Lease](), Lease.acquire

    def known(lease: Lease, wait_seconds: float = 0.0) -> bool:
        found.append(lease)
        return acquire(lease, wait_seconds)

    monkeypatch.setattr(Lease, "acquire", known)
    return found


def test_who_was_halted_with_sessions_in_hand_tells_the_series_store_nothing_old(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another took the turn meanwhile, and told of the same sessions as they are now."""
    series, leases, told, text = MemorySeries(), leases_of(monkeypatch), list[Any](), ClickHouseBatch.text
    batches.record([event(random.Random(n), NOW - n * SECOND, anonymous_id="d9") for n in range(5)])

    def halted(store: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        in_hand = list(text(store, sql, parameters))
        if len(leases) == 1:
            leases[0].fall_silent()
            batches.record([event(random.Random(77), NOW + SECOND, anonymous_id="d9", user_ref="carla")])
            assert batches.service(series).run(60, 60).state == "done"
            told.extend(series.query(_TOLD))
        yield from in_hand

    monkeypatch.setattr(ClickHouseBatch, "text", halted)
    with pytest.raises(LeaseLost):
        batches.service(series).run(60)
    assert told
    assert series.query(_TOLD) == told
    assert stitched_rows(series)[0] == set(batches.sessions())


@pytest.mark.parametrize("answered", [True, False])
def test_who_was_halted_while_it_told_of_sessions_has_them_told_once_more(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """Its request was under way when another took the turn, and ends when that one has told of what is newer."""
    series, leases, told, write = MemorySeries(), leases_of(monkeypatch), list[Any](), MemorySeries.write_lines
    batches.record([event(random.Random(n), NOW - n * SECOND, anonymous_id="d9") for n in range(5)])

    def halted(store: MemorySeries, table: SeriesTable, lines: bytes) -> None:
        if len(leases) == 1:
            leases[0].fall_silent()
            batches.record([event(random.Random(77), NOW + SECOND, anonymous_id="d9")])
            assert batches.service(series).run(60, 60).state == "done"
            told.extend(series.query(_COUNTED))
            write(store, table, lines)
            if not answered:
                raise StoreUnavailable("Nobody waited for the answer.")
        else:
            write(store, table, lines)

    monkeypatch.setattr(MemorySeries, "write_lines", halted)
    with pytest.raises(LeaseLost):
        batches.service(series).run(60)
    assert told
    assert series.query(_COUNTED) != told
    assert batches.service(series).run(60, 60).counts["exported"] == 1
    assert series.query(_COUNTED) == told
    assert batches.service(series).run(60).counts["exported"] == 0


_COUNTED = "SELECT session_id, event_count, state FROM sessions"
_TOLD = "SELECT session_id, visitor, state FROM sessions"


def stitched_rows(series: MemorySeries) -> tuple[set[str], set[str]]:
    rows = series.query("SELECT session_id, state FROM sessions")
    live = {row[0] for row in rows if row[1] == "live"}
    return live, {row[0] for row in rows if row[1] == "superseded"}


def test_sessions_are_told_to_the_series_store_and_those_that_are_no_more_too(batches: Batches) -> None:
    series = MemorySeries()
    deliveries = [event(random.Random(n), NOW - n * SECOND, anonymous_id="d9") for n in range(5)]
    batches.record(deliveries)
    done = batches.service(series).run(60)
    assert (done.state, done.counts["exported"], done.counts["refused"]) == ("done", 1, 0)
    [(gone, facts)] = batches.sessions().items()
    assert stitched_rows(series) == ({gone}, set())
    [told] = series.query("SELECT started_at, ended_at, duration_seconds, platforms, user_id, is_bounce FROM sessions")
    platforms = json.dumps(facts["platforms"], separators=(",", ":"))
    assert told == (facts["started_at"], facts["ended_at"], 4.0, platforms, None, False)
    batches.record([event(random.Random(77), NOW + SECOND, anonymous_id="d9", user_ref="carla")])
    batches.service(series).run(60)
    assert stitched_rows(series) == (set(batches.sessions()), {gone})
    assert batches.service(series).run(60).counts["exported"] == 0


@pytest.mark.parametrize("odd", ['a "b"', "c\\", 'd\\"', "e\nf 1\n", "g,h=1 2", "\x00", "é😀\t", "\\\n"], ids=repr)
def test_any_text_of_a_session_reaches_the_series_store_as_it_is(batches: Batches, odd: str) -> None:
    series = MemorySeries()
    batches.record([event(random.Random(1), NOW, anonymous_id=odd, user_ref=None), event(random.Random(2), NOW)])
    batches.service(series).run(60)
    told = {row[0] for row in series.query("SELECT visitor FROM sessions")}
    assert {facts["visitor"] for facts in batches.sessions().values()} == told
    assert f"a:{odd}" in told


def test_while_the_series_store_is_away_nothing_is_lost(batches: Batches) -> None:
    series = MemorySeries()
    series.available = False
    for part in range(3):
        batches.record(events(part, 5)[:12])
        done = batches.service(series).run(60)
        assert (done.state, done.detail) == ("unfinished", "export: the store is away")
    series.available = True
    assert batches.service(series).run(60).state == "done"
    live, superseded = stitched_rows(series)
    assert live == set(batches.sessions())
    assert not live & superseded


def test_events_whose_recorder_died_before_it_left_word_are_found(batches: Batches) -> None:
    deliveries = events(4, 10)
    batches.record(deliveries)
    batches.client.command("TRUNCATE TABLE touched")
    assert batches.service(MemorySeries()).run(60).counts.get("events", 0) == 0
    batches.service(MemorySeries()).run(60, sweep=True)
    check(batches, deliveries)


def test_each_run_is_in_the_journal(batches: Batches) -> None:
    batches.record(events(1, 3))
    batches.service(MemorySeries()).run(60)
    [run] = last(batches.database(""))
    assert (run["kind"], run["state"], run["detail"]) == ("tick", "done", "")
    assert run["counts"]["sessions"] == len(batches.sessions())


def test_the_journal_tells_what_waits_and_which_run_died(batches: Batches) -> None:
    database = batches.database("")
    assert behind(database)["waiting"] == {"blocks": 0, "events": 0, "oldest_seconds": None}
    batches.record(events(1, 3))
    before = behind(database)
    assert (before["waiting"]["blocks"], before["waiting"]["events"], before["late"]) == (1, len(events(1, 3)), False)
    died = {"run_id": str(uuid.uuid4()), "kind": "tick", "began": time.time_ns() - SECOND}
    Journal(database).note(died, "running", {}, {})
    batches.service(MemorySeries()).run(60)
    after = behind(database)
    assert (after["waiting"]["blocks"], after["late"]) == (0, False)
    assert after["done_seconds_ago"] < LATE_SECONDS
    assert [one["state"] for one in last(database)] == ["done", "died"]
    assert [one["state"] for one in last(database, 1)] == ["done"]


def test_readers_are_told_of_each_run_that_computed_something_also_while_the_series_store_is_away(
    batches: Batches,
) -> None:
    database, series = batches.database(""), MemorySeries()
    states = [computed(database)]

    def run() -> None:
        batches.service(series).run(60)
        states.append(computed(database))

    batches.record(events(1, 3))
    run()
    run()
    series.available = False
    batches.record(events(2, 3))
    run()
    series.available = True
    run()
    run()
    moved = [before != after for before, after in itertools.pairwise(states)]
    assert moved == [True, False, True, True, False]


def test_an_event_late_by_days_costs_a_busy_visitor_little(batches: Batches) -> None:
    def busy(seed: int, at: int) -> Delivery:
        return event(random.Random(seed), at, anonymous_id="busy", key_id="k1")

    deliveries = [busy(place, NOW - place * 600 * SECOND) for place in range(3_000)]
    batches.record(deliveries)
    batches.stitch()
    pause = [busy(10_000 + n, NOW + (7_200 + n * 600) * SECOND) for n in range(50)]
    batches.record(pause)
    [step] = batches.stitch()
    assert (step.visitors, step.sessions) == (1, 1)
    late = [busy(20_000, NOW - 151 * 600 * SECOND + 1)]
    batches.record(late)
    [step] = batches.stitch()
    assert step.sessions <= 3
    check(batches, deliveries + pause + late)


class Killing:
    """A database that is killed while its ``last`` statement that writes is at work."""

    def __init__(self, database: Database, last: int, server: ClickHouse) -> None:
        self._database, self._left, self._server = database, last, server

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self._left -= not sql.startswith(("INSERT INTO stitch_", "TRUNCATE", "CREATE"))
        if self._left == 0:
            threading.Timer(0.005, self._server.kill).start()
        self._database.run(sql, parameters)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        return self._database.rows(sql, parameters)


def test_kill_9_of_the_store_in_the_midst_of_a_run(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path / "data")
    server.start()
    batches = Batches(server.url, "killed")
    deliveries: list[Delivery] = []
    for statement in (1, 2, 4, 5):
        block = events(statement + 20, 25)
        deliveries += block
        batches.record(block)
        with contextlib.suppress(StoreUnavailable):
            batches.stitch(around=lambda database, last=statement: Killing(database, last, server), lease_seconds=1.0)
        until(lambda: not server.running(), 10, "the end of the server")
        server.start()
    batches.stitch()
    check(batches, deliveries)
    server.stop()


def test_after_a_run_it_is_told_how_the_whole_of_it_stands(batches: Batches) -> None:
    batches.record(events(3, 20))
    queued_at = time.time_ns() - 90_000_000_000
    before = standing(batches.database("look"), lambda: Depth(3, 1, 2), lambda: queued_at, time.time_ns)
    assert 90 <= before["OldestMessageSeconds"] < 120
    assert (before["LedgerDifference"], before["QueueReady"], before["DeadLetters"]) == (0, 3, 2)
    assert "SinceDoneSeconds" not in before
    assert batches.service(MemorySeries()).run(60).state == "done"
    batches.client.command("DELETE FROM processed_events WHERE event_id IN (SELECT event_id FROM raw_events LIMIT 2)")

    def away() -> Depth:
        raise QueueUnavailable("the broker is away")

    after = standing(batches.database("look"), away, lambda: None, time.time_ns)
    assert "OldestMessageSeconds" not in after
    assert (after["LedgerDifference"], after["UnmeasuredSeconds"]) == (2, 0)
    assert after["SinceDoneSeconds"] < 60
    assert "QueueReady" not in after
