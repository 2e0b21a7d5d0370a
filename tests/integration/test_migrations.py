"""Migrations may run twice and at once, make durable tables, and render for a cluster."""

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import pytest

from functions.enrich.tables import Place
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.settings import RetentionSettings, StoreSettings
from infra.clickhouse.migrate import migrate, migrations, render
from schemas.rows import ProcessedRow, RawRow
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import delivery


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("migrations") / "data")
    server.start()
    yield server
    server.stop()


def test_four_at_once_leave_the_tables_once_and_a_later_run_has_nothing_to_do(engine: ClickHouse) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate(engine.url, "many"), range(4)))
    assert migrate(engine.url, "many") == []
    with clickhouse_connect.get_client(dsn=engine.url, database="many") as client:
        names = [row[0] for row in client.query("SELECT name FROM schema_migrations ORDER BY name").result_rows]
    assert names == [name for name, _ in migrations()]


def test_every_table_is_on_the_disk_before_an_insert_is_answered(engine: ClickHouse) -> None:
    migrate(engine.url, "durable")
    with clickhouse_connect.get_client(dsn=engine.url) as client:
        query = "SELECT name, engine_full FROM system.tables WHERE database = 'durable' AND engine NOT LIKE '%View'"
        tables = dict(client.query(query).result_rows)
    assert {"raw_events", "processed_events", "event_deliveries"} <= tables.keys()
    wanted = ("fsync_after_insert = 1", "fsync_part_directory = 1", "min_rows_to_fsync_after_merge = 1")
    assert [(name, one) for name, text in tables.items() for one in wanted if one not in text] == []


def test_every_statement_does_no_harm_when_it_runs_again(engine: ClickHouse) -> None:
    migrate(engine.url, "again")
    with clickhouse_connect.get_client(dsn=engine.url, database="again") as client:
        for _, text in migrations():
            for statement in render(text):
                client.command(statement)


def test_the_columns_of_the_rows_are_those_of_the_tables(engine: ClickHouse) -> None:
    migrate(engine.url, "columns")
    own = {"attempt_id", "stored_at", "properties", "context", "metrics"}
    with clickhouse_connect.get_client(dsn=engine.url) as client:
        for table, fields in (("raw_events", RawRow._fields), ("processed_events", ProcessedRow._fields)):
            query = f"SELECT name FROM system.columns WHERE database = 'columns' AND table = '{table}'"
            assert {row[0] for row in client.query(query).result_rows} - own == set(fields)


def test_a_delete_writes_a_small_part_and_leaves_the_others_as_they_are(engine: ClickHouse) -> None:
    migrate(engine.url, "deletes")
    tables = ClickHouseTables(StoreSettings(clickhouse_url=engine.url, clickhouse_database="deletes"))
    one, attempt = delivery(), str(uuid.uuid4())
    tables.insert_raw(attempt, [delivery().raw for _ in range(100)])
    tables.insert_raw(attempt, [one.raw])
    parts = "SELECT name FROM system.parts WHERE database = 'deletes' AND table = 'raw_events' AND active"
    with clickhouse_connect.get_client(dsn=engine.url, database="deletes") as client:
        client.command("SYSTEM STOP MERGES raw_events")
        before = {row[0] for row in client.query(parts).result_rows}
        tables.remove(tables.rows([Place(one.raw.event_id, one.raw.timestamp)]))
        after = {row[0] for row in client.query(parts).result_rows}
        assert before <= after
        assert client.query("SELECT count() FROM raw_events").result_rows == [(100,)]
        client.command("SYSTEM START MERGES raw_events")
        client.command("OPTIMIZE TABLE raw_events FINAL")
        assert client.query("SELECT count() FROM raw_events").result_rows == [(100,)]


def test_for_a_cluster_every_table_is_replicated_on_it() -> None:
    statements = [statement for _, text in migrations() for statement in render(text, "main")]
    assert len(statements) >= 3
    assert all("ON CLUSTER main" in statement for statement in statements)
    tables = [statement for statement in statements if statement.startswith("CREATE TABLE")]
    assert all(re.search(r"ENGINE = Replicated\w*MergeTree", statement) for statement in tables)
    assert not any("{{" in statement for statement in statements)


@pytest.mark.parametrize("name", ["a b", "x;DROP", "", "1a"])
def test_a_name_that_is_none_is_refused_before_it_reaches_the_server(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        migrate("http://127.0.0.1:1", name)


def test_rows_are_kept_as_long_as_the_settings_say_and_a_second_run_changes_nothing(engine: ClickHouse) -> None:
    def told(settings: RetentionSettings) -> list[str]:
        return [name for name in migrate(engine.url, "kept", retention=settings) if name.startswith("retention")]

    assert told(RetentionSettings()) == []
    days = RetentionSettings(retention_events_days=30, retention_metrics_days=400)
    assert told(days) == ["retention of raw_events", "retention of processed_events", "retention of metric_states"]
    assert told(days) == []
    with clickhouse_connect.get_client(dsn=engine.url, database="kept") as client:
        for age in (29, 31):
            client.command(
                "INSERT INTO raw_events (event_id, timestamp, received_at)"
                f" SELECT generateUUIDv4(), now64(9) - INTERVAL 10 YEAR, now64(9) - INTERVAL {age} DAY"
            )
        client.command("OPTIMIZE TABLE raw_events FINAL")
        assert client.command("SELECT count() FROM raw_events") == 1
        assert told(RetentionSettings(retention_events_days=7)) == [
            "retention of raw_events",
            "retention of processed_events",
            "retention of metric_states",
        ]
        client.command("OPTIMIZE TABLE raw_events FINAL")
        assert client.command("SELECT count() FROM raw_events") == 0
    assert told(RetentionSettings()) == ["retention of raw_events", "retention of processed_events"]


def test_a_ledger_of_before_keeps_its_rows_and_loses_the_numbers_it_has_no_use_for(
    engine: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = "SELECT count() FROM system.parts_columns WHERE active AND database = 'numbered' AND table = 'ledger'"
    numbers += " AND column IN ('_block_number', '_block_offset')"
    earlier = [one for one in migrations() if one[0] < "0025"]
    with monkeypatch.context() as before:
        before.setattr("infra.clickhouse.migrate.migrations", lambda: earlier)
        migrate(engine.url, "numbered")
    with clickhouse_connect.get_client(dsn=engine.url, database="numbered") as client:
        insert = "INSERT INTO ledger (minute, batch_id, events) SELECT now(), generateUUIDv4(), 7 FROM numbers(3)"
        for _ in range(2):
            client.command(insert)
        client.command("OPTIMIZE TABLE ledger FINAL")
        assert client.command(numbers) == 2
        assert "0025_ledger_size" in migrate(engine.url, "numbered")
        client.command(insert)
        client.command("OPTIMIZE TABLE ledger FINAL")
        assert client.command(numbers) == 0
        assert client.command("SELECT sum(events) FROM ledger") == 63
