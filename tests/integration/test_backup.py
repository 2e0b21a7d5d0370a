"""A backup restored is the same store: every row, every byte, and what is computed from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from functions.measure.identities import Identities
from functions.measure.service import Range
from functions.shared.adapters.memory_series import MemorySeries
from infra.backup import manifest
from infra.backup.copying import restore, save
from infra.backup.manifest import NoBackup
from infra.backup.store import DERIVED, Store
from infra.cli import backups
from infra.clickhouse.migrate import migrate
from tests.integration.test_stitching import SECOND, events
from tests.support.batches import Batches
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import NOW, delivery

pytestmark = pytest.mark.engines

NASTY = "\x00'\\\"\n\t\ufffd ünïcödé 🦀"
SAVED = ("event_deliveries", "processed_events", "raw_events", "visitor_merges")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    server = ClickHouse(tmp_path_factory.mktemp("backup") / "data")
    server.start()
    batches = Batches(server.url, "source")
    batches.record(events(3, 60))
    batches.record([delivery(properties='{"a":1.0,"b":null,"c.d":9007199254740993}', event_name=NASTY)])
    batches.record([delivery(failed=True, raw_data=NASTY), delivery(timestamp=NOW - 400 * 86_400 * SECOND)])
    Identities(batches.database("operator"), lambda: NOW).merge("a:d1", "a:d2")
    batches.stitch()
    yield batches
    server.stop()


@pytest.fixture(scope="module")
def saved(source: Batches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "one"
    _save(source, folder)
    return folder


def _save(source: Batches, folder: Path) -> None:
    store = Store(source.settings)
    save(store, folder, store.now(), "2026-01-01T00:00:00Z", lambda *_: None, rows_a_file=7)
    store.close()


def _empty(source: Batches, name: str) -> Batches:
    return Batches(source.settings.clickhouse_url, name)


def _restore(into: Batches, folder: Path) -> None:
    store = Store(into.settings)
    try:
        restore(store, folder, lambda *_: None)
    finally:
        store.close()


def _content(batches: Batches, table: str) -> list[Any]:
    return sorted(batches.client.query(f"SELECT toString(tuple(*)) FROM {table}").result_rows)


def test_every_row_comes_back_as_it_was_and_so_do_the_sessions(source: Batches, saved: Path) -> None:
    restored = _empty(source, "restored")
    _restore(restored, saved)
    for table in SAVED:
        assert _content(restored, table) == _content(source, table)
    assert _content(restored, "raw_events")
    restored.service(MemorySeries()).run(60, 60, Range(None, None))
    assert restored.sessions() == source.sessions()
    assert restored.members() == source.members()


def test_what_is_stored_after_the_cut_is_left_out(source: Batches, tmp_path: Path) -> None:
    other = _empty(source, "cut")
    other.record([delivery()])
    store = Store(other.settings)
    until = store.now()
    other.record([delivery()])
    made = save(store, tmp_path / "cut", until, "2026-01-01T00:00:00Z", lambda *_: None)
    rows = {table.name: table.rows for table in made.tables}
    assert (rows["raw_events"], rows["processed_events"]) == (1, 1)
    store.close()


def test_a_file_that_was_changed_stops_a_restore_before_it_writes(source: Batches, tmp_path: Path) -> None:
    _save(source, tmp_path / "copy")
    file = next(path for path in sorted((tmp_path / "copy").rglob("*.zst")) if "raw_events" in path.parts)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    into = _empty(source, "changed")
    with pytest.raises(NoBackup, match="not what the backup wrote"):
        _restore(into, tmp_path / "copy")
    assert not _content(into, "processed_events")


def test_a_path_that_leads_elsewhere_is_refused(saved: Path, tmp_path: Path) -> None:
    made = json.loads((saved / manifest.NAME).read_text())
    made["tables"][0]["files"] = [{"path": "../../etc/passwd", "rows": 1, "sha256": "0" * 64}]
    (tmp_path / manifest.NAME).write_text(json.dumps(made))
    with pytest.raises(NoBackup, match="leads out"):
        manifest.read(tmp_path)


def test_a_store_that_has_rows_is_not_restored_into(source: Batches, saved: Path) -> None:
    with pytest.raises(NoBackup, match="not empty"):
        _restore(source, saved)


def test_a_backup_of_a_newer_weir_is_refused(source: Batches, saved: Path, tmp_path: Path) -> None:
    made = json.loads((saved / manifest.NAME).read_text())
    made["tables"], made["migrations"] = [], [*made["migrations"], "9999_future"]
    (tmp_path / manifest.NAME).write_text(json.dumps(made))
    with pytest.raises(NoBackup, match="9999_future"):
        _restore(_empty(source, "newer"), tmp_path)


def test_a_folder_that_holds_something_is_not_written_to(source: Batches, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(NoBackup, match="not empty"):
        _save(source, tmp_path)


def test_each_table_is_saved_or_known_to_be_computed(source: Batches) -> None:
    found = source.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    store = Store(source.settings)
    names = {row["name"] for row in found}
    assert set(store.tables()) == names - DERIVED - {"schema_migrations"}
    assert names >= DERIVED
    store.close()


def test_the_commands_say_what_they_did_and_what_is_wrong(
    source: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = source.settings.clickhouse_url
    monkeypatch.setenv("WEIR_CLICKHOUSE_URL", url)
    monkeypatch.setenv("WEIR_CLICKHOUSE_DATABASE", "source")
    migrate(url, "source")
    app, runner, folder = Typer(), CliRunner(), str(tmp_path / "copy")
    backups.register(app)
    made = runner.invoke(app, ["backup", folder, "--settle", "0"])
    assert made.exit_code == 0, made.output
    assert "rows saved" in made.stdout
    again = runner.invoke(app, ["backup", folder, "--settle", "0"])
    assert again.exit_code == 1
    assert "is not empty" in again.stderr
