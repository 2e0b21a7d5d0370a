"""The event tables: the fake and the real engine keep the same contract."""

import itertools
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functions.enrich.recording import EventTables, Recorder
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas.rows import Delivery
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import NOW, delivery


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("store") / "data")
    server.start()
    migrate(server.url, "weir")
    yield server
    server.stop()


@pytest.fixture(params=["memory", "clickhouse"])
def tables(request: pytest.FixtureRequest) -> EventTables:
    if request.param == "memory":
        return MemoryTables()
    return ClickHouseTables(StoreSettings(clickhouse_url=request.getfixturevalue("engine").url))


def recorder(tables: EventTables) -> Recorder:
    return Recorder(tables, lambda: str(uuid.uuid4()))


def standing(tables: EventTables, event_id: str) -> tuple[list[Any], list[Any]]:
    raw = [row.rank for row in tables.standing_raw([event_id])]
    return raw, [row.rank for row in tables.standing_processed([event_id])]


def rivals(event_id: str) -> list[Delivery]:
    day = 86_400_000_000_000
    return [
        delivery(event_id=event_id, failed=True, received_at=NOW - 5),
        delivery(event_id=event_id, timestamp=NOW - 40 * day, received_at=NOW),
        delivery(event_id=event_id, timestamp=NOW - 1, received_at=NOW + day),
        delivery(event_id=event_id, timestamp=NOW, received_at=NOW, properties='{"a":1}'),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_of_all_deliveries_the_best_counts_whatever_the_order(tables: EventTables, order: tuple[int, ...]) -> None:
    event_id = str(uuid.uuid4())
    deliveries = rivals(event_id)
    for index in order:
        recorder(tables).record([deliveries[index]])
    best = min(one.rank for one in deliveries)
    assert standing(tables, event_id) == ([best], [best])


def test_every_delivery_is_counted_as_exactly_one_thing(tables: EventTables) -> None:
    event_id = str(uuid.uuid4())
    report = recorder(tables).record([*rivals(event_id), delivery(failed=True), delivery()])
    assert report == (2, 1, 3)


def test_a_retry_changes_nothing(tables: EventTables) -> None:
    block = [delivery(), delivery(failed=True), delivery()]
    recorder(tables).record(block)
    before = [standing(tables, one.raw.event_id) for one in block]
    recorder(tables).record(block)
    recorder(tables).record(list(reversed(block)))
    assert [standing(tables, one.raw.event_id) for one in block] == before
    assert all(len(raw) == 1 for raw, _ in before)


@pytest.mark.parametrize("dies_at", ["claim", "contested", "insert_processed", "insert_raw", "reconcile"])
def test_an_attempt_that_died_is_completed_by_the_next(tables: EventTables, dies_at: str) -> None:
    block = [delivery(), delivery(failed=True)]

    class Dying:
        looks = 0

        def __getattr__(self, name: str) -> Any:
            def call(*given: Any) -> Any:
                self.looks += name == "contested"
                if name == dies_at and name != "insert_raw":
                    raise StoreUnavailable("died")
                if name == "contested" and dies_at == "reconcile" and self.looks == 2:
                    raise StoreUnavailable("died")
                done = getattr(tables, name)(*given)
                if name == dies_at:
                    raise StoreUnavailable("died")
                return done

            return call

    with pytest.raises(StoreUnavailable):
        recorder(Dying()).record(block)
    recorder(tables).record(block)
    assert [tuple(map(len, standing(tables, one.raw.event_id))) for one in block] == [(1, 1), (1, 0)]


def test_many_writers_of_the_same_events_leave_one_row_of_each(tables: EventTables) -> None:
    ids = [str(uuid.uuid4()) for _ in range(20)]
    by_event = {event_id: rivals(event_id) for event_id in ids}
    blocks = [[by_event[event_id][index] for event_id in ids] for index in range(4)] * 2

    def write(block: list[Delivery]) -> None:
        own: EventTables = tables
        if isinstance(tables, ClickHouseTables):
            own = ClickHouseTables(tables.settings)
        recorder(own).record(block)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, blocks))
    for event_id in ids:
        best = min(one.rank for one in by_event[event_id])
        assert standing(tables, event_id) == ([best], [best])


def test_rows_of_more_than_a_hundred_months_go_in_one_block(tables: EventTables) -> None:
    month = 2_678_400_000_000_000
    block = [delivery(timestamp=NOW - number * month) for number in range(130)]
    assert recorder(tables).record(block).stored == 130


def test_hostile_json_costs_no_neighbour(tables: EventTables) -> None:
    hostile = [
        '{"a":{"b":1},"a.b":2}',
        '{"n":18446744073709551615}',
        '{"when":"2026-01-01T00:00:00Z"}',
        '{"x":null,"y":{},"z":[]}',
        '{"":1}',
        '{"mixed":[1,"a",{"b":2}]}',
        '{"mixed":7}',
        '{"mixed":"seven"}',
        '{"mixed":{"deep":1}}',
        '{"\\u0000":"\\u0000"}',
    ]
    block = [delivery(properties=text) for text in hostile]
    report = recorder(tables).record(block)
    assert report.stored + report.failed == len(hostile)
    assert report.failed == 0


def test_a_refused_row_is_found_and_its_neighbours_are_stored() -> None:
    block = [delivery(event_name="poison" if index == 5 else "fine") for index in range(9)]
    tables = MemoryTables(lambda row: row.event_name == "poison" and getattr(row, "processing_status", "") != "failed")
    assert recorder(tables).record(block) == (8, 1, 0)
    assert recorder(tables).record(block).failed <= 1
    assert len(tables.raw) == 9
    assert len(tables.processed) == 8


def test_a_row_that_the_engine_refuses_becomes_failed(engine: ClickHouse) -> None:
    tables = ClickHouseTables(StoreSettings(clickhouse_url=engine.url))
    block = [delivery(), delivery(properties="{broken"), delivery()]
    assert recorder(tables).record(block) == (2, 1, 0)
    raw, processed = standing(tables, block[1].raw.event_id)
    assert (raw[0][0], processed) == (True, [])


def test_a_store_that_is_away_is_told_as_such_and_heals(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path / "data")
    server.start()
    migrate(server.url, "weir")
    tables = ClickHouseTables(StoreSettings(clickhouse_url=server.url))
    block = [delivery()]
    recorder(tables).record(block)
    server.kill()
    with pytest.raises(StoreUnavailable):
        recorder(tables).record([delivery()])
    server.start()
    later = delivery()
    recorder(tables).record([later])
    assert [len(standing(tables, one.raw.event_id)[0]) for one in (*block, later)] == [1, 1]
    server.stop()
