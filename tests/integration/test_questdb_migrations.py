"""QuestDB's migrations may run twice and at once, make the tables of the rows, and set how long they keep them."""

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.domain.series import METRICS, TABLES
from infra.questdb import migrate as migrating
from infra.questdb.migrate import QuestDbError, migrate, migrations
from tests.contract.test_series_contract import DAY, NOON, metric
from tests.support.polling import until
from tests.support.questdb import QuestDb


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    server = QuestDb(tmp_path_factory.mktemp("migrations") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_tables(engine: QuestDb) -> None:
    for table in (table.name for table in TABLES):
        ask(engine, f"DROP TABLE IF EXISTS {table}")


def ask(engine: QuestDb, sql: str) -> list[list[Any]]:
    """What a plain query answers, as any client would see it."""
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
    connection.request("GET", "/exec?" + urllib.parse.urlencode({"query": sql}))
    content = json.loads(connection.getresponse().read())
    connection.close()
    assert "error" not in content, content
    rows: list[list[Any]] = content.get("dataset", [])
    return rows


def test_six_at_once_leave_the_tables_once_and_a_later_run_has_nothing_to_do(engine: QuestDb) -> None:
    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(lambda _: migrate(engine.url), range(6)))
    assert {name for names in applied for name in names} == {name for name, _ in migrations()}
    assert migrate(engine.url) == []


def test_the_tables_have_the_columns_of_the_rows_in_order_and_their_keys(engine: QuestDb) -> None:
    migrate(engine.url)
    for table in TABLES:
        columns = ask(engine, f"SHOW COLUMNS FROM {table.name}")
        assert [row[0] for row in columns] == list(table.columns)
        named = {row[0]: row[1:] for row in columns}
        keys = ask(engine, f"SELECT \"column\" FROM table_columns('{table.name}') WHERE upsertKey")
        assert [row[0] for row in keys] == [name for name in table.columns if name in table.keys]
        assert {name for name, rest in named.items() if rest[0] == "TIMESTAMP"} == table.micros
    kinds = "SELECT table_name, designatedTimestamp, partitionBy, walEnabled, dedup FROM tables() ORDER BY 1"
    ours = {row[0]: row[1:] for row in ask(engine, kinds)}
    assert {table.name: ours[table.name] for table in TABLES} == {
        table.name: [table.columns[0], "DAY", True, True] for table in TABLES
    }


def test_a_later_migration_may_add_a_column_and_run_again(engine: QuestDb, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(engine.url)
    later = [*migrations(), ("0009_more", "-- more\nALTER TABLE metrics ADD COLUMN IF NOT EXISTS more LONG;")]
    monkeypatch.setattr(migrating, "migrations", lambda: later)
    assert migrate(engine.url) == ["0009_more"]
    assert migrate(engine.url) == []


def test_rows_are_kept_for_ever_unless_a_time_is_set(engine: QuestDb) -> None:
    migrate(engine.url)
    store = QuestDbSeries(engine.settings())
    store.write(METRICS, [metric("old", ts=NOON - 4_000 * DAY), metric("new")])
    store.await_visible(METRICS)
    assert store.query("SELECT count() FROM metrics") == [(2,)]
    migrate(engine.url, ttl_days=28)
    migrate(engine.url, ttl_days=28)
    store.write(METRICS, [metric("new", value=2.0)])
    store.await_visible(METRICS)
    until(lambda: store.query("SELECT metric_name FROM metrics") == [("new",)], 20, "the end of the old row")
    migrate(engine.url)
    until(lambda: {row[0] for row in ask(engine, "SELECT ttlValue FROM tables()")} == {0}, 20, "no end")


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(QuestDbError, match="refused"):
        migrate("http://127.0.0.1:1")


def test_a_statement_that_is_refused_is_told(engine: QuestDb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "migrations", lambda: [("0001_wrong", "CREATE TABLE wrong (a NOSUCH)")])
    with pytest.raises(QuestDbError, match=r"NOSUCH|type"):
        migrate(engine.url)
