"""The store's disk is full: what was acknowledged is there, and everything that is there can be read."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import disks
from tests.support.clickhouse import ClickHouse
from tests.support.polling import until

pytestmark = pytest.mark.engines

# Large enough that the engine asks for no more room than it needs, and may meet the end of it.
ROWS = 1_500
TABLE = """CREATE TABLE t (block UInt32, text String, INDEX by_text text TYPE bloom_filter(0.01) GRANULARITY 1)
ENGINE = MergeTree ORDER BY block SETTINGS fsync_after_insert = 1, old_parts_lifetime = 1"""
READ_ALL = "SELECT block, count() FROM t WHERE NOT ignore(text) GROUP BY block ORDER BY block FORMAT JSONCompactEachRow"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small(tmp_path / "disk", "96m") as found:
        yield found


@pytest.fixture
def store(disk: Path) -> Iterator[ClickHouse]:
    server = ClickHouse(disk / "data")
    server.start()
    yield server
    server.stop()


def ask(store: ClickHouse, sql: str) -> httpx.Response:
    return httpx.post(store.url, content=sql, timeout=60)


def rows(block: int) -> str:
    chance = random.Random(block)
    lines = (json.dumps({"block": block, "text": chance.randbytes(900).hex()}) for _ in range(ROWS))
    return "INSERT INTO t FORMAT JSONEachRow\n" + "\n".join(lines)


def taken(store: ClickHouse, block: int) -> bool:
    try:
        return ask(store, rows(block)).status_code == 200
    except httpx.HTTPError:
        return False


def again(store: ClickHouse) -> None:
    store.stop()
    store.start()


def test_an_insert_for_which_the_disk_had_no_room_to_its_end_is_not_acknowledged_and_spoils_nothing(
    disk: Path, store: ClickHouse
) -> None:
    assert ask(store, TABLE).status_code == 200
    assert taken(store, 0)
    size = int(ask(store, "SELECT max(bytes_on_disk) FROM system.parts WHERE table = 't'").text)
    acknowledged, ended = {0}, 0
    for block in range(1, 9):
        ask(store, "SYSTEM STOP MERGES t")
        with disks.filled(disk, size // disks.PAGE_BYTES + 4 + block):
            if taken(store, block):
                acknowledged.add(block)
            # Where it had begun, and the room came to its end.
            if gone(store):
                ended += 1
                again(store)
                assert ask(store, READ_ALL).status_code == 200
    assert ended
    again(store)
    assert taken(store, 99)
    found = dict(json.loads(line) for line in ask(store, READ_ALL).text.splitlines())
    assert set(found.values()) == {ROWS}
    assert acknowledged | {99} <= found.keys()


def gone(store: ClickHouse) -> bool:
    """Whether the door ended, once it had the time to see that the disk is full."""
    try:
        until(store.ended, 1.0, "its end")
    except AssertionError:
        return False
    return True


def test_one_that_starts_on_a_full_disk_is_read_and_takes_again_once_there_is_room(
    disk: Path, store: ClickHouse
) -> None:
    ask(store, TABLE)
    assert taken(store, 0)
    with disks.filled(disk):
        until(store.ended, 10, "the end of what was at work when the disk became full")
        again(store)
        assert ask(store, READ_ALL).text == f"[0, {ROWS}]\n"
        refused = ask(store, rows(1))
        assert (refused.status_code, "NOT_ENOUGH_SPACE" in refused.text) == (500, True)
        assert not store.ended()
    assert taken(store, 1)


def test_what_comes_in_leaves_a_margin_on_the_disk(tmp_path: Path) -> None:
    from infra.clickhouse.migrate import migrate

    with disks.small(tmp_path / "disk", "128m") as disk:
        server = ClickHouse(disk / "data")
        server.start()
        try:
            migrate(server.url, "weir")
            # As a release left it that knew of no margin.
            ask(server, "ALTER TABLE weir.ledger RESET SETTING min_free_disk_bytes_to_perform_insert")
            migrate(server.url, "weir")
            insert = "INSERT INTO weir.ledger (batch_id) VALUES (generateUUIDv4())"
            margin = 32 * 1024 * 1024 // disks.PAGE_BYTES
            with disks.filled(disk, margin - 64):
                assert "NOT_ENOUGH_SPACE" in ask(server, insert).text
                assert not server.ended()
            with disks.filled(disk, margin + 64):
                assert ask(server, insert).status_code == 200
        finally:
            server.stop()
