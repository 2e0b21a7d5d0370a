"""The series store: the fake and the real engine keep the same contract."""

import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.domain import tags
from functions.shared.domain.series import ANOMALIES, METRICS, SESSIONS, AnomalyRow, MetricRow, SessionRow
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.ports import Instant, SeriesStore
from infra.questdb.migrate import migrate
from tests.support.polling import until
from tests.support.questdb import QuestDb

DAY = 86_400_000_000_000
HOUR = 3_600_000_000_000
NOON = 1_772_323_200_000_000_000
ROOT = Path(__file__).parents[2]
TEXTS = [
    "it's",
    "'; DROP TABLE metrics; --",
    'a "b"',
    "a,b=c d",
    "line\nline",
    "\\",
    "\x00",
    "é😀",
    "",
    "%s",
    "x" * 70_000,
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    server = QuestDb(tmp_path_factory.mktemp("series") / "data")
    server.start()
    migrate(server.url)
    yield server
    server.stop()


@pytest.fixture(params=["memory", "questdb"])
def store(request: pytest.FixtureRequest) -> SeriesStore:
    if request.param == "memory":
        return MemorySeries()
    return QuestDbSeries(request.getfixturevalue("engine").settings())


@pytest.fixture
def name() -> str:
    """A metric of this test alone: the tables are shared."""
    return f"m{uuid.uuid4().hex}"


def metric(name: str, **changed: Any) -> MetricRow:
    text = tags.canonical(changed.pop("tagged", {"environment": "live", "platform": "web"}))
    row = MetricRow(
        NOON, name, "1h", "live", None, "web", None, None, None, 1.5, text, tags.digest(text), "{}", "live", NOON + HOUR
    )
    return row._replace(**changed)


def session(**changed: Any) -> SessionRow:
    row = SessionRow(
        started_at=NOON + 123_456_789,
        session_id=str(uuid.uuid4()),
        visitor="u:4f9c",
        user_id="4f9c",
        ended_at=NOON + HOUR + 987_654_321,
        duration_seconds=3600.864197532,
        event_count=7,
        page_view_count=3,
        entry_page="/a",
        exit_page=None,
        referrer=None,
        campaign="spring",
        country="DE",
        device_type=None,
        browser="Firefox",
        os="Linux",
        platforms='["web"]',
        client_session_ids="[]",
        is_bounce=False,
        is_bot=True,
        key_id=None,
        environment="live",
        state="live",
        computed_at=NOON + DAY,
    )
    return row._replace(**changed)


def anomaly(name: str, **changed: Any) -> AnomalyRow:
    row = AnomalyRow(
        NOON, name, "1d", "{}", tags.digest("{}"), 9.0, 5.0, 4.0, 6.0, 0.75, "high", 2, True, "live", NOON + DAY
    )
    return row._replace(**changed)


def metrics(store: SeriesStore, name: str) -> list[tuple[Any, ...]]:
    store.await_visible(METRICS)
    sql = f"SELECT {', '.join(METRICS.columns)} FROM metrics WHERE metric_name = %s ORDER BY ts, tags"
    return store.query(sql, [name])


def sessions(store: SeriesStore, *session_ids: str) -> list[tuple[Any, ...]]:
    store.await_visible(SESSIONS)
    exact = [f"{name}::long" if name in ("started_at", "ended_at") else name for name in SESSIONS.columns]
    marks = ", ".join("%s" for _ in session_ids)
    return store.query(
        f"SELECT {', '.join(exact)} FROM sessions WHERE session_id IN ({marks}) ORDER BY started_at", session_ids
    )


def test_a_row_comes_back_as_it_was_written(store: SeriesStore, name: str) -> None:
    row, one, judged = metric(name, properties='{"numerator":3,"denominator":2}'), session(), anomaly(name)
    store.write(METRICS, [row])
    store.write(SESSIONS, [one])
    store.write(ANOMALIES, [judged])
    assert metrics(store, name) == [tuple(row)]
    assert sessions(store, one.session_id) == [tuple(one)]
    store.await_visible(ANOMALIES, SESSIONS, METRICS)
    sql = f"SELECT {', '.join(ANOMALIES.columns)} FROM anomalies WHERE metric_name = %s"
    assert store.query(sql, [name]) == [tuple(judged)]


def test_rows_sent_twice_count_once(store: SeriesStore, name: str) -> None:
    rows = [metric(name, ts=NOON + number * HOUR) for number in range(50)]
    one = session()
    for _ in range(3):
        store.write(METRICS, rows)
        store.write(METRICS, rows[:20] + rows[10:])
        store.write(SESSIONS, [one, one])
    assert metrics(store, name) == [tuple(row) for row in rows]
    assert sessions(store, one.session_id) == [tuple(one)]


def test_the_later_value_wins_and_replaces_the_row_as_a_whole(store: SeriesStore, name: str) -> None:
    store.write(METRICS, [metric(name, value=1.0, country="DE", properties='{"samples":1}')])
    store.write(METRICS, [metric(name, value=2.0), metric(name, value=3.0, properties="{}")])
    assert metrics(store, name) == [tuple(metric(name, value=3.0))]


def test_groups_windows_and_intervals_stand_beside_each_other(store: SeriesStore, name: str) -> None:
    rows = [
        metric(name),
        metric(name, tagged={"environment": "test"}),
        metric(name, interval="1d"),
        metric(name, ts=NOON + HOUR),
        metric(name + "x"),
    ]
    store.write(METRICS, rows)
    assert sorted(metrics(store, name)) == sorted(tuple(row) for row in rows[:4])


def test_a_group_that_vanished_is_overwritten(store: SeriesStore, name: str) -> None:
    store.write(METRICS, [metric(name), metric(name, ts=NOON + HOUR)])
    store.write(METRICS, [metric(name, value=None, state="gone")])
    assert [(row[9], row[13]) for row in metrics(store, name)] == [(None, "gone"), (1.5, "live")]


def test_a_session_that_moved_leaves_a_tombstone_under_its_old_key(store: SeriesStore) -> None:
    old = session()
    new = old._replace(started_at=old.started_at - 1, session_id=str(uuid.uuid4()), event_count=8)
    store.write(SESSIONS, [old])
    store.write(SESSIONS, [old._replace(state="superseded"), new])
    found = sessions(store, old.session_id, new.session_id)
    assert [(row[0], row[1], row[-2]) for row in found] == [
        (new.started_at, new.session_id, "live"),
        (old.started_at, old.session_id, "superseded"),
    ]


def test_a_range_of_time_is_half_open_to_the_nanosecond(store: SeriesStore) -> None:
    one = session()
    store.write(SESSIONS, [one])
    store.await_visible(SESSIONS)
    sql = "SELECT count(*) FROM sessions WHERE session_id = %s AND started_at >= %s AND started_at < %s"
    at = one.started_at

    def within(since: int, until: int) -> int:
        return int(store.query(sql, [one.session_id, Instant(since), Instant(until)])[0][0])

    assert [within(at, at + 1), within(at + 1, at + 2), within(at - 1, at), within(at - DAY, at + DAY)] == [1, 0, 0, 1]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_any_text_goes_in_and_out_and_is_found_by_itself(store: SeriesStore, name: str, text: str) -> None:
    one = session(visitor=f"{name}{text}", entry_page=text, browser=text[:1000])
    store.write(SESSIONS, [one])
    assert sessions(store, one.session_id) == [tuple(one)]
    if "\x00" not in text:
        sql = "SELECT session_id FROM sessions WHERE visitor = %s AND browser = %s"
        assert store.query(sql, [one.visitor, one.browser]) == [(one.session_id,)]


def as_line(row: SessionRow) -> bytes:
    """A row as a line, written plainly."""

    def text(name: str, value: object) -> str:
        if isinstance(value, bool):
            return f"{name}={'t' if value else 'f'}"
        if isinstance(value, str):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n")
            return f'{name}="{escaped}"'
        suffix = "n" if name.endswith("_at") else "i" if isinstance(value, int) else ""
        return f"{name}={value}{suffix}"

    fields = ",".join(text(name, value) for name, value in row._asdict().items() if value is not None)
    _, _, rest = fields.partition(",")
    return f"sessions {rest} {row.started_at}\n".encode()


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_lines_are_kept_as_rows_are(store: SeriesStore, name: str, text: str) -> None:
    odd = session(visitor=f"{name}{text}", entry_page=text, browser=text[:1000], is_bounce=True, duration_seconds=0.0)
    rows = [odd, session(user_id=None, referrer=text), session(ended_at=NOON)]
    store.write(SESSIONS, [odd._replace(country="replaced", user_id="x")])
    store.write_lines(SESSIONS, b"".join(map(as_line, [*rows, rows[1]])))
    found = sessions(store, *(row.session_id for row in rows))
    assert sorted(found) == sorted(tuple(row) for row in rows)


@pytest.mark.parametrize(
    "line",
    [b"sessions nosuch\n", b"Code: 241. DB::Exception: (MEMORY_LIMIT_EXCEEDED)\n", as_line(session(started_at=-1))],
)
def test_a_line_that_is_none_is_refused_with_all_of_its_request(store: SeriesStore, line: bytes) -> None:
    one = session()
    with pytest.raises(StoreRefused, match="sessions: "):
        store.write_lines(SESSIONS, as_line(one) + line)
    assert sessions(store, one.session_id) == []


def test_no_lines_are_nothing_and_no_error(store: SeriesStore) -> None:
    store.write_lines(SESSIONS, b"")


def test_a_time_is_kept_to_the_microsecond_in_metrics(store: SeriesStore, name: str) -> None:
    store.write(METRICS, [metric(name, computed_at=NOON + 123_456_789)])
    assert metrics(store, name)[0][METRICS.columns.index("computed_at")] == NOON + 123_456_000


def test_nothing_written_is_nothing_and_no_error(store: SeriesStore, name: str) -> None:
    store.write(METRICS, [])
    store.ping()
    assert metrics(store, name) == []


@pytest.mark.parametrize("changed", [{"tags": "\ud800"}, {"tags_hash": 2**63}, {"ts": -1}], ids=str)
def test_a_value_that_cannot_be_held_is_refused_and_not_told(
    store: SeriesStore, name: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(StoreRefused, match="metrics: a value") as refused:
        store.write(METRICS, [metric(name), metric(name, ts=NOON + HOUR)._replace(**changed)])
    assert "ud800" not in str(refused.value)
    assert metrics(store, name) == []


@pytest.mark.parametrize("sql", ["SELECT nosuch FROM metrics", "SELECT ("])
def test_a_wrong_statement_is_told_from_an_outage(store: SeriesStore, sql: str) -> None:
    with pytest.raises(StoreRefused):
        store.query(sql)
    store.ping()


def test_the_fake_can_be_away() -> None:
    store = MemorySeries()
    store.available = False
    for call in (store.ping, lambda: store.write(METRICS, [metric("a")]), lambda: store.query("SELECT 1")):
        with pytest.raises(StoreUnavailable):
            call()
    store.available = True
    store.write(METRICS, [metric("a")])
    assert len(metrics(store, "a")) == 1


def test_a_row_of_another_width_is_refused(engine: QuestDb, name: str) -> None:
    with pytest.raises(StoreRefused):
        QuestDbSeries(engine.settings()).write(METRICS, [tuple(metric(name))[:-1]])


def test_a_value_the_engine_refuses_names_its_column_alone(engine: QuestDb, name: str) -> None:
    store = QuestDbSeries(engine.settings())
    with pytest.raises(StoreRefused, match="metrics: QuestDB refuses a value of tags_hash") as refused:
        store.write(METRICS, [metric(name, tags_hash="a secret")])
    assert "secret" not in str(refused.value)


def test_many_writers_of_the_same_rows_leave_one_of_each(engine: QuestDb, name: str) -> None:
    rows = [metric(name, ts=NOON + number * HOUR) for number in range(500)]

    def write(_: int) -> None:
        QuestDbSeries(engine.settings()).write(METRICS, rows)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert metrics(QuestDbSeries(engine.settings()), name) == [tuple(row) for row in rows]


def test_more_than_one_request_takes_is_written_in_several(engine: QuestDb, name: str) -> None:
    store = QuestDbSeries(engine.settings())
    rows = [metric(name, ts=NOON + number * 60_000_000_000, properties="x" * 1_000) for number in range(20_000)]
    store.write(METRICS, rows)
    store.await_visible(METRICS)
    assert store.query("SELECT count() FROM metrics WHERE metric_name = %s", [name]) == [(20_000,)]


def test_a_table_that_is_not_there_is_an_outage_and_is_not_made(tmp_path: Path) -> None:
    server = QuestDb(tmp_path / "data")
    server.start()
    store = QuestDbSeries(server.settings())
    with pytest.raises(StoreUnavailable, match="weir migrate"):
        store.write(METRICS, [metric("a")])
    with pytest.raises(StoreUnavailable, match="does not exist"):
        store.query("SELECT * FROM metrics")
    with pytest.raises(StoreUnavailable, match="weir migrate"):
        store.await_visible(METRICS)
    migrate(server.url)
    store.write(METRICS, [metric("a")])
    assert len(metrics(store, "a")) == 1
    server.stop()


def test_the_store_heals_after_the_server_was_killed_and_no_row_it_took_is_lost(tmp_path: Path) -> None:
    server = QuestDb(tmp_path / "data")
    server.start()
    migrate(server.url)
    store, reader = QuestDbSeries(server.settings()), QuestDbSeries(server.settings())
    rows = [metric("a", ts=NOON + number * HOUR) for number in range(1_000)]
    reader.ping()
    for number in range(3):
        store.write(METRICS, rows[number * 200 : number * 200 + 200])
        server.kill()
        with pytest.raises(StoreUnavailable):
            store.write(METRICS, rows[600:])
        with pytest.raises(StoreUnavailable):
            reader.query("SELECT 1")
        server.start()
        assert reader.query("SELECT 1") == [(1,)]
    store.write(METRICS, rows[600:])
    assert metrics(reader, "a") == [tuple(row) for row in rows]
    server.stop()


def test_a_write_waits_for_a_server_that_comes_back(tmp_path: Path) -> None:
    server = QuestDb(tmp_path / "data")
    server.start()
    migrate(server.url)
    store = QuestDbSeries(server.settings(questdb_retry_seconds=60))
    store.write(METRICS, [metric("a")])
    server.kill()
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(store.write, METRICS, [metric("a", ts=NOON + HOUR)])
        server.start()
        written.result(60)
    assert len(metrics(store, "a")) == 2
    server.stop()


def test_a_server_that_hangs_is_an_outage_within_the_time_set(tmp_path: Path) -> None:
    server = QuestDb(tmp_path / "data")
    server.start()
    migrate(server.url)
    store = QuestDbSeries(server.settings(questdb_timeout_seconds=1))
    store.write(METRICS, [metric("a")])
    server.pause()
    with pytest.raises(StoreUnavailable):
        store.query("SELECT 1")
    with pytest.raises(StoreUnavailable):
        store.write(METRICS, [metric("b")])
    server.resume()
    until(lambda: _writes(store, metric("b")), 30, "a write")
    assert len(metrics(store, "a")) == 1
    server.stop()


def _writes(store: SeriesStore, row: MetricRow) -> bool:
    try:
        store.write(METRICS, [row])
    except StoreUnavailable:
        return False
    return True


def test_a_writer_killed_in_the_middle_leaves_whole_rows_and_is_completed_by_the_next(engine: QuestDb) -> None:
    """Each request is one transaction; what the dead one had sent is sent once more."""
    name = f"m{uuid.uuid4().hex}"
    code = f"""
        from functions.shared.adapters.questdb_series import QuestDbSeries
        from functions.shared.domain.series import METRICS
        from functions.shared.settings import SeriesSettings
        from tests.contract.test_series_contract import metric, NOON, HOUR
        settings = SeriesSettings(questdb_url={engine.url!r}, questdb_pg_port={engine.pg_port})
        store = QuestDbSeries(settings)
        for number in range(100_000):
            store.write(METRICS, [metric({name!r}, ts=NOON + number * HOUR)])
            print(number, flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        taken = [int(process.stdout.readline()) for _ in range(20)][-1] + 1
        process.kill()
        process.wait()
    store = QuestDbSeries(engine.settings())
    found = metrics(store, name)
    assert found[:taken] == [tuple(metric(name, ts=NOON + number * HOUR)) for number in range(taken)]
    assert found == [tuple(metric(name, ts=NOON + number * HOUR)) for number in range(len(found))]
    rows = [metric(name, ts=NOON + number * HOUR) for number in range(max(100, len(found)))]
    store.write(METRICS, rows)
    assert metrics(store, name) == [tuple(row) for row in rows]
