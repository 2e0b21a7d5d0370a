"""The salt of a day in the real store: one for all who make it at once, and gone for good when it is old."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import clickhouse_connect
import pytest

from functions.shared.adapters.clickhouse_salts import ClickHouseSalts
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings
from tests.support.clickhouse import ClickHouse, with_tables
from tests.support.polling import until

pytestmark = pytest.mark.engines
DAY = 86_400 * 1_000_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with with_tables(tmp_path_factory.mktemp("salts")) as server:
        yield server


def salts(server: ClickHouse, clock: int | None = None) -> ClickHouseSalts:
    return ClickHouseSalts(StoreSettings(clickhouse_url=server.url), lambda: clock or time.time_ns(), os.urandom)


def test_of_many_who_make_it_at_once_one_wins_and_all_agree(server: ClickHouse) -> None:
    now = time.time_ns()
    makers = [salts(server) for _ in range(8)]
    start, found = threading.Barrier(len(makers)), []

    def make(maker: ClickHouseSalts) -> None:
        start.wait()
        found.append(maker.of(now))

    threads = [threading.Thread(target=make, args=(maker,)) for maker in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(makers)
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    assert salts(server).of(now) == found[0]
    assert salts(server).of(now - DAY) not in (b"", found[0])


def test_two_days_later_there_is_none_and_none_is_made(server: ClickHouse) -> None:
    now = time.time_ns()
    ours = salts(server)
    assert ours.of(now)
    later = salts(server, now + 2 * DAY)
    assert later.of(now) == b""
    assert later.of(now + 2 * DAY) != ours.of(now)


def test_the_store_removes_an_old_one_from_the_disk(server: ClickHouse) -> None:
    old = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    with clickhouse_connect.get_client(dsn=server.url, database="weir", autogenerate_session_id=False) as client:
        client.command(f"INSERT INTO visitor_salts (day, salt) VALUES ('{old}', 'ab')")
        parts = f"SELECT count() FROM system.parts WHERE table = 'visitor_salts' AND partition = '{old}'"
        until(lambda: client.query(parts).result_rows[0][0] == 0, 120, "the old salt to go")
        assert client.query(f"SELECT count() FROM visitor_salts WHERE day = '{old}'").result_rows[0][0] == 0


def test_without_the_store_there_is_no_salt_and_it_says_nothing_of_one(server: ClickHouse) -> None:
    ours = salts(server)
    kept = ours.of(time.time_ns())
    server.kill()
    assert ours.of(time.time_ns()) == kept
    with pytest.raises(StoreUnavailable) as caught:
        salts(server).of(time.time_ns())
    assert kept.hex() not in str(caught.value)
    server.start()
    assert salts(server).of(time.time_ns()) == kept
