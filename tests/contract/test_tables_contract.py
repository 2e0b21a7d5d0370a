"""The event tables: the fake and the real engine keep the same contract, and recording holds over both."""

import itertools
import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from functions.enrich.recording import Recorder
from functions.enrich.tables import Claim, EventTables, Place, StoredRow
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas.rows import Delivery, Rank
from tests.support.clickhouse import ClickHouse, with_tables
from tests.support.deliveries import NOW, delivery

DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with with_tables(tmp_path_factory.mktemp("store")) as server:
        yield server


def over(engine: ClickHouse) -> ClickHouseTables:
    return ClickHouseTables(StoreSettings(clickhouse_url=engine.url))


@pytest.fixture(params=["memory", "clickhouse"])
def tables(request: pytest.FixtureRequest) -> EventTables:
    return MemoryTables() if request.param == "memory" else over(request.getfixturevalue("engine"))


def recorder(tables: EventTables) -> Recorder:
    return Recorder(tables, lambda: str(uuid.uuid4()))


def places(deliveries: Sequence[Delivery]) -> set[Place]:
    return {Place(one.raw.event_id, at) for one in deliveries for at in (one.raw.timestamp, one.raw.received_at)}


def standing(tables: EventTables, deliveries: Sequence[Delivery]) -> tuple[list[Any], list[Any]]:
    """The ranks of the raw rows and of the processed rows of these deliveries' events."""
    rows = tables.rows(places(deliveries))
    raw = [row.rank for row in rows if row.table == "raw_events"]
    return raw, [row.rank for row in rows if row.table == "processed_events"]


def rivals(event_id: str) -> list[Delivery]:
    return [
        delivery(event_id=event_id, failed=True, received_at=NOW - 5),
        delivery(event_id=event_id, timestamp=NOW - 40 * DAY, received_at=NOW),
        delivery(event_id=event_id, timestamp=NOW - 1, received_at=NOW - DAY, key_id="test_shop"),
        delivery(event_id=event_id, timestamp=NOW, received_at=NOW, properties='{"a":1}'),
    ]


def claim(one: Delivery) -> Claim:
    row = one.raw
    return Claim(
        row.event_id, False, row.received_at, row.digest, row.timestamp, row.batch_id, row.batch_index, row.key_id
    )


def test_a_claim_is_seen_by_every_other_attempt_and_not_by_its_own(tables: EventTables) -> None:
    one, two = delivery(), delivery()
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    tables.claim(mine, [claim(one), claim(one), claim(two)])
    assert tables.rivals(mine, [one.raw.event_id, two.raw.event_id]) == []
    assert tables.rivals(other, [one.raw.event_id]) == [(one.raw.event_id, mine, one.raw.timestamp)]
    assert tables.late_rivals(other, [one.raw.event_id], 0) == [(one.raw.event_id, mine, one.raw.timestamp)]
    assert tables.late_rivals(mine, [one.raw.event_id], 0) == []
    assert len(tables.rivals(other, [one.raw.event_id, two.raw.event_id, str(uuid.uuid4())])) == 2


def test_rows_are_found_where_they_stand_and_are_removed_by_event_and_attempt(tables: EventTables) -> None:
    one, mine, other = delivery(timestamp=NOW - 7), str(uuid.uuid4()), str(uuid.uuid4())
    assert one.processed is not None
    for attempt in (mine, other):
        tables.insert_processed(attempt, [one.processed])
        tables.insert_raw(attempt, [one.raw])
    rows = tables.rows(places([one]))
    assert {(row.table, row.attempt_id, row.timestamp, row.rank) for row in rows} == {
        (table, attempt, NOW - 7, one.rank) for table in ("raw_events", "processed_events") for attempt in (mine, other)
    }
    tables.remove([row for row in rows if (row.attempt_id == mine) == (row.table == "raw_events")])
    assert {(row.table, row.attempt_id) for row in tables.rows(places([one]))} == {
        ("raw_events", other),
        ("processed_events", mine),
    }


def test_nothing_is_found_where_nothing_was_written(tables: EventTables) -> None:
    assert tables.rows({Place(str(uuid.uuid4()), NOW)}) == []
    assert tables.rows([]) == []
    tables.remove([StoredRow("raw_events", str(uuid.uuid4()), str(uuid.uuid4()), NOW, Rank(False, False, NOW, ""))])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_of_all_deliveries_the_best_counts_whatever_the_order(tables: EventTables, order: tuple[int, ...]) -> None:
    deliveries = rivals(str(uuid.uuid4()))
    for index in order:
        recorder(tables).record([deliveries[index]])
    best = min(one.rank for one in deliveries)
    assert standing(tables, deliveries) == ([best], [best])


def test_every_delivery_is_counted_as_exactly_one_thing(tables: EventTables) -> None:
    block = [*rivals(str(uuid.uuid4())), delivery(failed=True), delivery()]
    assert recorder(tables).record(block) == (2, 1, 3)


def test_a_retry_changes_nothing(tables: EventTables) -> None:
    block = [delivery(), delivery(failed=True), delivery()]
    assert recorder(tables).record(block) == (2, 1, 0)
    before = [standing(tables, [one]) for one in block]
    assert recorder(tables).record(block) == (0, 0, 3)
    assert recorder(tables).record(list(reversed(block))) == (0, 0, 3)
    assert [standing(tables, [one]) for one in block] == before
    assert all(len(raw) == 1 for raw, _ in before)


def test_of_one_delivery_what_a_replay_brought_last_stands(tables: EventTables) -> None:
    event_id = str(uuid.uuid4())
    ways = [
        delivery(event_id=event_id, digest="d", batch_id=event_id, generation=number * 10**18, failed=failed)
        for number, failed in enumerate((True, False, False, True))
    ]
    for number in (0, 2, 1, 3, 2):
        recorder(tables).record([ways[number]])
    rows = tables.rows(places(ways))
    assert {(row.table, row.generation) for row in rows} == {
        ("raw_events", 2 * 10**18),
        ("processed_events", 2 * 10**18),
    }
    assert len(rows) == 2


STEPS = ("claim", "rivals", "insert_processed", "insert_raw", "late_rivals", "await_idle", "rows", "remove")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("dies_at", STEPS)
def test_an_attempt_that_died_is_completed_by_the_next(tables: EventTables, dies_at: str, moment: str) -> None:
    worse = [delivery(failed=True), delivery(received_at=NOW + 9)]
    block = [delivery(event_id=worse[0].raw.event_id), delivery(event_id=worse[1].raw.event_id), delivery()]
    recorder(tables).record(worse)

    class Dying:
        def __getattr__(self, name: str) -> Any:
            def call(*given: Any) -> Any:
                if name == dies_at and moment == "before":
                    raise StoreUnavailable("died")
                done = getattr(tables, name)(*given)
                if name == dies_at:
                    raise StoreUnavailable("died")
                return done

            return call

    with pytest.raises(StoreUnavailable):
        recorder(Dying()).record(block)
    recorder(tables).record(block)
    assert [standing(tables, [one, *worse]) for one in block[:1]]
    for one in block:
        assert standing(tables, [one, *(old for old in worse if old.raw.event_id == one.raw.event_id)]) == (
            [one.rank],
            [one.rank],
        )


def test_many_writers_of_the_same_events_leave_one_row_of_each(tables: EventTables, request: Any) -> None:
    ids = [str(uuid.uuid4()) for _ in range(40)]
    by_event = {event_id: rivals(event_id) for event_id in ids}
    blocks = [[by_event[event_id][index] for event_id in ids] for index in range(4)] * 4

    def write(block: list[Delivery]) -> int:
        own = over(request.getfixturevalue("engine")) if isinstance(tables, ClickHouseTables) else tables
        return sum(recorder(own).record(block))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, blocks)) == [len(ids)] * len(blocks)
    for deliveries in by_event.values():
        best = min(one.rank for one in deliveries)
        assert standing(tables, deliveries) == ([best], [best])


def test_a_block_leaves_word_for_the_batches(engine: ClickHouse) -> None:
    by = str(uuid.uuid4())
    Recorder(over(engine), lambda: by).record([delivery(), delivery(timestamp=NOW - DAY)])
    with clickhouse_connect.get_client(dsn=engine.url, database="weir") as client:
        query = f"SELECT arraySort(minutes)::Array(UInt32), events FROM touched WHERE attempt_id = '{by}'"
        [(minutes, events)] = client.query(query).result_rows
    assert (minutes, events) == ([(NOW - DAY) // 60_000_000_000 * 60, NOW // 60_000_000_000 * 60], 2)


def test_rows_of_more_than_a_hundred_months_go_in_one_block(tables: EventTables) -> None:
    month = 2_678_400_000_000_000
    block = [delivery(timestamp=NOW - number * month) for number in range(130)]
    assert recorder(tables).record(block).stored == 130


HOSTILE = [
    '{"a":{"b":1},"a.b":2}',
    '{"n":18446744073709551615}',
    '{"n":-9223372036854775808}',
    '{"when":"2026-01-01T00:00:00Z"}',
    '{"x":null,"y":{},"z":[]}',
    '{"":1}',
    '{".":1,"..":2,"a.":3,".a":4}',
    '{"a":1,"a":2}',
    '{"mixed":[1,"a",{"b":2}]}',
    '{"mixed":7}',
    '{"mixed":"seven"}',
    '{"mixed":{"deep":1}}',
    '{"\\u0000":"\\u0000"}',
    '{"a`b":1,"c\\\\d":2,"e\\"f":3}',
    '{"big":1e308,"small":5e-324}',
    '{"a":' + '{"a":' * 14 + "1" + "}" * 15,
    json.dumps({f"key_{number}": number for number in range(2_000)}),
]


def test_hostile_json_costs_no_neighbour(tables: EventTables) -> None:
    block = [delivery(properties=text) for text in HOSTILE]
    assert recorder(tables).record(block) == (len(HOSTILE), 0, 0)


def test_what_was_sent_is_stored_as_it_was_and_dates_stay_texts(engine: ClickHouse) -> None:
    one = delivery(properties='{"when":"2026-01-01T00:00:00Z","a":{"b":1},"a.b":2}', timestamp=NOW + 123_456_789)
    recorder(over(engine)).record([one])
    sql = (
        "SELECT properties_text, dynamicType(properties.when), toUnixTimestamp64Nano(timestamp), stored_at > now() - 60"
        f" FROM %s WHERE event_id = '{one.raw.event_id}'"
    )
    for table in ("raw_events", "processed_events"):
        assert rows(engine, sql % table) == [(one.raw.properties_text, "String", NOW + 123_456_789, 1)]


@pytest.mark.parametrize("text", ["{broken", "[1]", '{"a":1', "7", "", '{"a":01}'])
def test_a_row_that_the_engine_refuses_becomes_failed(engine: ClickHouse, text: str) -> None:
    block = [delivery(), delivery(properties=text), delivery()]
    assert recorder(over(engine)).record(block) == (2, 1, 0)
    raw, processed = standing(over(engine), block[1:2])
    assert (raw[0][0], processed) == (True, [])


@pytest.mark.parametrize(
    "changed",
    [
        {"event_name": "\ud800"},
        {"raw_data": "\ud800"},
        {"geo_latitude": "x"},
        {"user_id": "no uuid"},
        {"key_id": "\ud800"},
    ],
    ids=str,
)
def test_a_value_that_no_column_holds_costs_no_neighbour(engine: ClickHouse, changed: dict[str, Any]) -> None:
    bad = delivery()
    bad = bad._replace(
        raw=bad.raw._replace(**{name: value for name, value in changed.items() if name in bad.raw._fields}),
        processed=bad.processed._replace(
            **{name: value for name, value in changed.items() if name in bad.processed._fields}
        ),
    )
    block = [delivery(), bad, delivery()]
    assert recorder(over(engine)).record(block) == (2, 1, 0)
    raw, processed = standing(over(engine), block)
    assert (len(raw), len(processed)) == (3, 2)


def test_a_refusal_is_told_from_an_outage_and_tells_no_value(engine: ClickHouse) -> None:
    bad = delivery(properties="{secret-value")
    assert bad.processed is not None
    with pytest.raises(StoreRefused) as refused:
        over(engine).insert_processed(str(uuid.uuid4()), [bad.processed])
    assert "secret-value" not in str(refused.value)
    nowhere = ClickHouseTables(StoreSettings(clickhouse_url=engine.url, clickhouse_database="nowhere"))
    with pytest.raises(StoreUnavailable):
        nowhere.insert_processed(str(uuid.uuid4()), [bad.processed])


def test_a_statement_that_outlives_its_writer_is_waited_for(engine: ClickHouse) -> None:
    attempt, started, ended = str(uuid.uuid4()), threading.Event(), threading.Event()

    def at_work() -> None:
        with engine_client(engine) as client:
            started.set()
            client.command(
                "INSERT INTO schema_migrations (name) SELECT 'x' FROM numbers(4) WHERE sleepEachRow(0.3) > 0",
                settings={"log_comment": attempt, "max_block_size": 1},
            )
        ended.set()

    thread = threading.Thread(target=at_work)
    thread.start()
    started.wait()
    tables = over(engine)
    while attempt not in tables.running():
        assert not ended.is_set()
    tables.await_idle({attempt, str(uuid.uuid4())})
    assert attempt not in tables.running()
    thread.join()
    hurried = ClickHouseTables(StoreSettings(clickhouse_url=engine.url, clickhouse_timeout_seconds=0.2))
    hurried.await_idle({attempt})


def test_an_insert_that_is_repeated_is_known_again(engine: ClickHouse) -> None:
    one, attempt = delivery(), str(uuid.uuid4())
    tables = over(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("functions.shared.adapters.clickhouse_tables.uuid.uuid4", lambda: "the same token")
        for _ in range(2):
            tables.insert_raw(attempt, [one.raw])
    assert len(standing(tables, [one])[0]) == 1


def test_an_insert_that_breaks_off_on_the_way_leaves_nothing(engine: ClickHouse) -> None:
    tables, attempt = over(engine), str(uuid.uuid4())
    block = [*(delivery() for _ in range(300)), delivery(event_name="\ud800")]
    with pytest.raises(StoreRefused):
        tables.insert_raw(attempt, [one.raw for one in block])
    tables.await_idle({attempt})
    assert standing(tables, block) == ([], [])
    tables.insert_raw(attempt, [one.raw for one in block[:-1]])
    assert len(standing(tables, block)[0]) == 300


ODD_TEXTS = [
    "{}",
    '{ "a" : 1.0 ,\t"b":[ ] }',
    '{"a":"}{\\"]\\\\","b":{"c":"[\\u0000"}}',
    '{"a":1,"a":2,"b.c":1,"b":{"c":2}}',
    '{"\u00fc\U0001f600":"\u2028"}',
    '{"n":-1E+30,"m":null,"d":"2026-01-01T00:00:00Z"}',
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_texts_are_kept_to_the_byte(engine: ClickHouse, text: str) -> None:
    raws = [text, f" {text}", f"{text} "]
    block = [delivery(properties=text, context=text, metrics_text=text, raw_data=raw) for raw in raws]
    block.append(delivery(failed=True, raw_data=text + '"'))
    recorder(over(engine)).record(block)
    for table, names in (
        ("raw_events", ("properties_text", "context_text", "raw_data")),
        ("processed_events", ("properties_text", "context_text", "metrics_text")),
    ):
        ids = ",".join(f"'{one.raw.event_id}'" for one in block)
        found = rows(engine, f"SELECT toString(event_id), {', '.join(names)} FROM {table} WHERE event_id IN ({ids})")
        kept = {event_id: tuple(texts) for event_id, *texts in found}
        sent = {one.raw.event_id: one.raw if table == "raw_events" else one.processed for one in block}
        expected = {key: tuple(getattr(row, name) for name in names) for key, row in sent.items() if row is not None}
        assert kept == expected


def test_what_was_acknowledged_survives_kill_9_and_the_store_heals(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path / "data")
    server.start()
    migrate(server.url, "weir")
    tables = over(server)
    block = [delivery() for _ in range(50)]
    recorder(tables).record(block)
    server.kill()
    with pytest.raises(StoreUnavailable):
        recorder(tables).record([delivery()])
    server.start()
    assert recorder(tables).record(block) == (0, 0, 50)
    assert recorder(tables).record([delivery()]) == (1, 0, 0)
    for table in ("raw_events", "processed_events"):
        assert rows(server, f"SELECT count(), uniqExact(event_id) FROM {table}") == [(51, 51)]
    server.stop()


def engine_client(engine: ClickHouse) -> Any:
    from clickhouse_connect import get_client

    return get_client(dsn=engine.url, database="weir", autogenerate_session_id=False)


def rows(engine: ClickHouse, sql: str) -> list[tuple[Any, ...]]:
    """What a plain query answers, as any client would see it."""
    with engine_client(engine) as client:
        return [tuple(row) for row in client.query(sql).result_rows]
