"""Migrations may run twice and at once, make durable tables, and render for a cluster."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import pytest

from infra.clickhouse.migrate import migrate, migrations, render
from tests.support.clickhouse import ClickHouse


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
        names = {row[0] for row in client.query("SELECT DISTINCT name FROM schema_migrations").result_rows}
    assert names == {name for name, _ in migrations()}


def test_every_table_is_on_the_disk_before_an_insert_is_answered(engine: ClickHouse) -> None:
    migrate(engine.url, "durable")
    with clickhouse_connect.get_client(dsn=engine.url) as client:
        query = "SELECT name, engine_full FROM system.tables WHERE database = 'durable'"
        tables = dict(client.query(query).result_rows)
    assert {"raw_events", "processed_events", "event_deliveries"} <= tables.keys()
    assert all("fsync_after_insert = 1" in text and "fsync_part_directory = 1" in text for text in tables.values())


def test_for_a_cluster_every_table_is_replicated_on_it() -> None:
    statements = [statement for _, text in migrations() for statement in render(text, "main")]
    assert len(statements) >= 3
    assert all("ON CLUSTER main" in statement and "ReplicatedMergeTree" in statement for statement in statements)
    assert not any("{{" in statement for statement in statements)


@pytest.mark.parametrize("name", ["a b", "x;DROP", "", "1a"])
def test_a_name_that_is_none_is_refused_before_it_reaches_the_server(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        migrate("http://127.0.0.1:1", name)
