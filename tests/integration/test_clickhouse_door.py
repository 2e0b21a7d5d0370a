"""The ClickHouse door as its users drive it: chDB behind, clickhouse-connect and plain HTTP in front."""

from __future__ import annotations

import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import lz4.frame
import pytest
from backports import zstd
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0
DURABLE = (
    "ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, "
    "min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Door:
    """A door process and ways to talk to it."""

    def __init__(self, data: Path, *options: str, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        command = [sys.executable, "-m", "infra.local.clickhouse_door", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    def wait_ready(self) -> Door:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                if self.http("GET", "/ping").text == "Ok.\n":
                    return self
            except OSError:
                assert self.process.poll() is None, self.stderr()
                time.sleep(0.05)
        raise AssertionError("the door did not start")

    def http(self, method: str, target: str, body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def post(self, sql: Any, **parameters: str) -> Reply:
        return self.http("POST", f"/?{urlencode(parameters)}", sql)

    def client(self, **options: Any) -> Any:
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, autogenerate_session_id=False, **options)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(15)

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        self.stop(signal.SIGKILL)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Reply:
    def __init__(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.status, self.headers, self.content = status, headers, content

    @property
    def text(self) -> str:
        return self.content.decode()


Starter = Callable[..., Door]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts doors and ends them."""
    doors: list[Door] = []

    def _start(*options: str, data: Path | None = None, port: int | None = None) -> Door:
        doors.append(Door(data or tmp_path / "data", *options, port=port))
        return doors[-1]

    yield _start
    for door in doors:
        door.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    running = Door(tmp_path_factory.mktemp("door") / "data").wait_ready()
    yield running
    running.close()


@pytest.fixture
def client(door: Door) -> Iterator[Any]:
    made = door.client()
    yield made
    made.close()


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    client.command(f"CREATE TABLE {name} (a UInt64, s String, p JSON) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE {name}")


def json_rows(count: int, start: int = 0) -> bytes:
    return b"".join(b'{"a":%d,"s":"%s"}\n' % (start + i, b"x" * 200) for i in range(count))


class TestClickHouseConnect:
    def test_client_creation_reads_version_and_settings(self, client: Any) -> None:
        assert client.server_version[0].isdigit()
        assert "max_threads" in client.server_settings
        assert client.ping()

    def test_native_insert_and_query(self, client: Any, table: str) -> None:
        summary = client.insert(table, [[1, "one", {"k": 1}], [2, "two", {}]], column_names=["a", "s", "p"])
        assert summary.written_rows == 2
        assert client.query(f"SELECT a, s, p FROM {table} ORDER BY a").result_rows == [
            (1, "one", {"k": 1}),
            (2, "two", {}),
        ]

    def test_native_insert_of_many_blocks(self, client: Any, table: str) -> None:
        rows = [[i, "x" * 100] for i in range(50_000)]
        client.insert(table, rows, column_names=["a", "s"])
        assert client.command(f"SELECT count(), sum(a) FROM {table}") == ["50000", str(sum(range(50_000)))]

    def test_an_insert_that_fails_behind_the_parser_is_not_acknowledged(self, client: Any) -> None:
        name = f"t_{uuid.uuid4().hex}"
        client.command(f"CREATE TABLE {name} (s String, p JSON DEFAULT s) ENGINE = MergeTree ORDER BY s")
        with pytest.raises(DatabaseError):
            client.raw_insert(name, ["s"], b'["{}"]\n["{broken"]', fmt="JSONCompactEachRow")
        assert client.command(f"SELECT count() FROM {name}") == 0
        client.command(f"DROP TABLE {name}")

    def test_raw_insert_is_one_part(self, client: Any, table: str) -> None:
        summary = client.raw_insert(table, ["a", "s"], json_rows(20_000), fmt="JSONEachRow")
        assert summary.written_rows == 20_000
        assert client.command(f"SELECT count(), uniqExact(_part) FROM {table}") == ["20000", "1"]

    @pytest.mark.parametrize(
        ("encoding", "compress"),
        [
            ("gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("zstd", zstd.compress),
            ("lz4", lz4.frame.compress),
        ],
    )
    def test_raw_insert_compressed(
        self, client: Any, table: str, encoding: str, compress: Callable[[bytes], bytes]
    ) -> None:
        data = compress(json_rows(10_000)) + compress(json_rows(5_000, 10_000))
        client.raw_insert(table, ["a", "s"], data, fmt="JSONEachRow", compression=encoding)
        assert client.command(f"SELECT count(), max(a) FROM {table}") == ["15000", "14999"]

    def test_raw_insert_from_a_generator(self, client: Any, table: str) -> None:
        client.raw_insert(table, ["a", "s"], (json_rows(10, 10 * i) for i in range(7)), fmt="JSONEachRow")
        assert client.command(f"SELECT count() FROM {table}") == 70

    def test_raw_query_in_any_format(self, client: Any) -> None:
        answer = json.loads(client.raw_query("SELECT 1 AS x, 'é' AS y", fmt="JSON"))
        assert answer["data"] == [{"x": 1, "y": "é"}]
        assert client.raw_query("SELECT 1 AS x WHERE 0", fmt="CSVWithNames") == b'"x"\n'
        assert client.raw_query("SELECT 1", fmt="Parquet")[:4] == b"PAR1"

    def test_raw_stream(self, client: Any) -> None:
        with client.raw_stream("SELECT number FROM numbers(300000)", fmt="TabSeparated") as stream:
            assert sum(map(int, stream.read().split())) == sum(range(300_000))

    def test_command(self, client: Any, table: str) -> None:
        assert client.command("SELECT 1") == 1
        assert client.command("SELECT 'a', 'b'") == ["a", "b"]
        assert client.command(f"INSERT INTO {table} (a) VALUES", data="(1),(2)").written_rows == 2
        assert client.command(f"SELECT count() FROM {table}") == 2

    @pytest.mark.parametrize("form", [False, True])
    def test_bound_parameters(self, door: Door, form: bool) -> None:
        client = door.client(form_encode_query_params=form)
        value = 'it\'s\t\\n\n"é"'
        rows = client.query(
            "SELECT {s:String}, {n:UInt64}, {l:Array(String)}",
            parameters={"s": value, "n": 2**63, "l": ["a'b", "\t"]},
        ).result_rows
        assert rows == [(value, 2**63, ["a'b", "\t"])]
        client.close()

    def test_settings_hold_for_one_query(self, client: Any) -> None:
        default = client.command("SELECT getSetting('max_threads')")
        assert client.command("SELECT getSetting('max_block_size')", settings={"max_block_size": 123}) == 123
        assert client.command("SELECT getSetting('max_threads')") == default

    def test_database(self, door: Door, client: Any) -> None:
        client.command("CREATE DATABASE IF NOT EXISTS `other`")
        other = door.client(database="other")
        assert other.command("SELECT currentDatabase()") == "other"
        other.close()

    def test_session_keeps_what_was_set(self, door: Door) -> None:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=door.port, session_id=uuid.uuid4().hex)
        client.command("CREATE TEMPORARY TABLE kept (a UInt8)")
        client.command("SET max_block_size = 77")
        client.command("SELECT 1", settings={"max_threads": 1})
        assert client.command("SELECT getSetting('max_block_size'), count() FROM kept") == ["77", "0"]
        client.close()


class TestErrors:
    @pytest.mark.parametrize(
        ("sql", "status", "code"),
        [
            ("SELECT (", 400, 62),
            ("SELECT * FROM nonesuch", 404, 60),
            ("SELECT 1; SELECT 2", 400, 62),
            ("", 400, 62),
            ("SELECT {x:UInt8}", 500, 456),
            ("SELECT throwIf(1)", 500, 395),
            ("INSERT INTO nonesuch FORMAT JSONEachRow\n{}", 404, 60),
        ],
    )
    def test_status_code_and_body(self, door: Door, sql: str, status: int, code: int) -> None:
        reply = door.post(sql)
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
        assert reply.text.startswith(f"Code: {code}. DB::Exception: ")
        assert "(version " in reply.text

    def test_client_raises_its_own_error(self, client: Any) -> None:
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("SELECT * FROM nonesuch")
        with pytest.raises(DatabaseError, match="UNKNOWN_DATABASE"):
            client.raw_query("SELECT 1", settings={"database": "nonesuch"})

    def test_unknown_setting(self, door: Door) -> None:
        reply = door.post("SELECT 1", nonesuch="1")
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (404, "115")

    def test_setting_value_cannot_break_out(self, door: Door) -> None:
        reply = door.post("SELECT getSetting('log_comment')", log_comment="x', max_threads='1\\")
        assert reply.text == "x\\', max_threads=\\'1\\\\\n"

    def test_get_cannot_write(self, door: Door) -> None:
        reply = door.http("GET", f"/?{urlencode({'query': 'CREATE DATABASE by_get'})}")
        assert reply.headers["X-ClickHouse-Exception-Code"] == "164"

    def test_bad_row_leaves_nothing_behind(self, client: Any, table: str) -> None:
        with pytest.raises(DatabaseError, match="CANNOT_PARSE"):
            client.raw_insert(table, ["a", "s"], json_rows(20_000) + b'{"a":"zz"}\n', fmt="JSONEachRow")
        assert client.command(f"SELECT count() FROM {table}") == 0

    def test_connection_serves_on_after_an_error(self, door: Door) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", door.port)
        connection.request("POST", "/", b"INSERT INTO nonesuch FORMAT CSV\n" + b"1\n" * 2_000_000)
        first = connection.getresponse()
        first.read()
        connection.request("POST", "/", "SELECT 5")
        assert (first.status, connection.getresponse().read()) == (404, b"5\n")
        connection.close()

    @pytest.mark.filterwarnings("ignore")
    def test_failure_after_the_first_rows(self, client: Any) -> None:
        sql = "SELECT throwIf(number = 3000000), number FROM numbers(10000000)"
        with client.query_row_block_stream(sql) as stream, pytest.raises(StreamFailureError, match="395"):
            for _ in stream:
                pass
        with pytest.raises(DatabaseError, match="395"):
            client.query(sql)

    @pytest.mark.parametrize(
        ("encoding", "compress"),
        [
            ("gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("zstd", zstd.compress),
            ("lz4", lz4.frame.compress),
        ],
    )
    @pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"not compressed at all" + data])
    def test_damaged_compression(
        self,
        door: Door,
        table: str,
        encoding: str,
        compress: Callable[[bytes], bytes],
        damage: Callable[[bytes], bytes],
    ) -> None:
        target = f"/?{urlencode({'query': f'INSERT INTO {table} FORMAT JSONEachRow'})}"
        reply = door.http("POST", target, damage(compress(json_rows(1000))), Content_Encoding=encoding)
        assert reply.headers["X-ClickHouse-Exception-Code"] == "271"
        assert door.post(f"SELECT count() FROM {table}").text == "0\n"


class TestPlainHttp:
    def test_ping_and_root(self, door: Door) -> None:
        assert door.http("GET", "/ping").text == "Ok.\n"
        assert door.http("GET", "/").text == "Ok.\n"
        assert door.http("GET", "/nonesuch").status == 404

    def test_query_in_the_url_and_data_in_the_body(self, door: Door, table: str) -> None:
        assert door.post(b'{"a":1}', query=f"INSERT INTO {table} FORMAT JSONEachRow").status == 200
        assert door.post("a\n7\n", query=f"INSERT INTO {table} (a) FORMAT CSVWithNames").status == 200
        assert door.post(f"SELECT a FROM {table} ORDER BY a", default_format="JSONCompactEachRow").text == (
            "[1]\n[7]\n"
        )

    def test_headers(self, door: Door) -> None:
        reply = door.http("POST", "/", "SELECT 1", X_ClickHouse_Format="CSV", X_ClickHouse_Query_Id="q1")
        assert reply.headers["X-ClickHouse-Format"] == "CSV"
        assert reply.headers["X-ClickHouse-Query-Id"] == "q1"
        assert "X-ClickHouse-Summary" in reply.headers

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO {t} (a, s) FORMAT JSONEachRow ",
            "/* FORMAT x */ insert into `{t}`(a, s) settings max_threads = 1 format JSONEachRow\r\n",
            "-- a note\nINSERT INTO TABLE {t} FORMAT JSONEachRow\n",
        ],
    )
    def test_ways_to_write_an_insert(self, door: Door, table: str, statement: str) -> None:
        assert door.post(statement.format(t=table).encode() + json_rows(3)).status == 200
        assert door.post(f"SELECT count() FROM {table}").text == "3\n"

    def test_insert_select_and_values(self, door: Door, table: str) -> None:
        assert door.post(f"INSERT INTO {table} (a) SELECT number FROM numbers(3)").status == 200
        assert door.post(f"INSERT INTO {table} (a, s) VALUES (4, 'FORMAT CSV'), (5, 'x;y')").status == 200
        assert door.post(f"SELECT count() FROM {table}").text == "5\n"


class TestLoad:
    def test_writers_and_readers_side_by_side(self, door: Door, table: str) -> None:
        errors: list[str] = []

        def work(job: Callable[[int], Reply]) -> None:
            for i in range(20):
                reply = job(i)
                if reply.status != 200:
                    errors.append(reply.text)

        def write(i: int) -> Reply:
            return door.post(json_rows(500, i), query=f"INSERT INTO {table} FORMAT JSONEachRow")

        def read(_: int) -> Reply:
            return door.post(f"SELECT s, count() FROM {table} GROUP BY s")

        threads = [threading.Thread(target=work, args=(job,)) for job in (write, write, write, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert door.post(f"SELECT count() FROM {table}").text == "30000\n"

    def test_ping_stays_fast_under_load(self, door: Door) -> None:
        sql = "SELECT sum(sipHash64(number)) FROM numbers(100000000)"
        threads = [threading.Thread(target=door.post, args=(sql,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        times = []
        for _ in range(20):
            began = time.perf_counter()
            door.http("GET", "/ping")
            times.append(time.perf_counter() - began)
        for thread in threads:
            thread.join()
        assert sorted(times)[10] < 0.1

    def test_reader_that_leaves_stops_its_query(self, door: Door) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", door.port)
        connection.request("POST", "/", "SELECT number, repeat('x', 100) FROM numbers(10000000000)")
        connection.getresponse().read(1000)
        connection.close()
        until = time.monotonic() + 10
        mine = "query LIKE '%10000000000%' AND query NOT LIKE '%LIKE%'"
        count = f"SELECT count() FROM system.processes WHERE {mine}"
        while time.monotonic() < until and door.post(count).text != "0\n":
            time.sleep(0.1)
        assert door.post(count).text == "0\n"

    def test_timeout_is_honoured(self, door: Door) -> None:
        reply = door.post(
            "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1", max_execution_time="1"
        )
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (408, "159")

    def test_limits_at_and_over(self, start: Starter) -> None:
        door = start("--max-queries", "1", "--queue-seconds", "0.2", "--max-body-mib", "1").wait_ready()
        insert = b"INSERT INTO FUNCTION null('s String') FORMAT LineAsString\n"
        assert door.post(insert.ljust(1 << 20)).status == 200
        assert door.post(insert.ljust((1 << 20) + 1)).status == 413
        bomb = gzip.compress(insert + b" " * (8 << 20))
        assert door.http("POST", "/", bomb, Content_Encoding="gzip").status == 413
        slow = threading.Thread(target=door.post, args=("SELECT sleep(1.5)",))
        slow.start()
        time.sleep(0.5)
        reply = door.post("SELECT 1")
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (503, "202")
        slow.join()

    def test_memory_is_bounded(self, start: Starter) -> None:
        door = start("--memory-mib", "600").wait_ready()
        reply = door.post("SELECT groupArray(number) FROM numbers(100000000)")
        assert reply.headers["X-ClickHouse-Exception-Code"] == "241"
        assert door.post("SELECT 1").text == "1\n"


class TestLife:
    def test_kill_loses_nothing_acknowledged(self, start: Starter) -> None:
        door = start().wait_ready()
        door.post(f"CREATE TABLE t (a UInt64, s String) {DURABLE}")
        for attempt in range(3):
            acked = self._insert_until_killed(door, attempt)
            door = start().wait_ready()
            found = int(door.post(f"SELECT count() FROM t WHERE a >= {attempt} * 1000000").text)
            assert acked > 0
            assert acked * 100 <= found <= (acked + 1) * 100

    def _insert_until_killed(self, door: Door, attempt: int) -> int:
        threading.Timer(0.7, door.process.kill).start()
        acked = 0
        try:
            while (
                door.post(
                    json_rows(100, attempt * 1_000_000 + acked * 100),
                    query="INSERT INTO t FORMAT JSONEachRow",
                ).status
                == 200
            ):
                acked += 1
        except (OSError, http.client.HTTPException):
            door.process.wait(5)
        return acked

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_ends_in_order(self, start: Starter, how: signal.Signals) -> None:
        door = start().wait_ready()
        answers: list[Reply] = []
        slow = threading.Thread(target=lambda: answers.append(door.post("SELECT sleep(2)")))
        slow.start()
        time.sleep(0.5)
        assert door.stop(how) == 0
        slow.join()
        assert [answer.text for answer in answers] == ["0\n"]

    def test_end_does_not_wait_for_ever(self, start: Starter) -> None:
        door = start().wait_ready()
        sql = "SELECT count() FROM numbers(10000000000000) WHERE sipHash64(number) = 1"
        threading.Thread(target=lambda: door.post(sql)).start()
        time.sleep(0.5)
        began = time.monotonic()
        assert door.stop() == 0
        assert time.monotonic() - began < 9

    def test_taken_port(self, start: Starter, tmp_path: Path) -> None:
        door = start().wait_ready()
        second = start(data=tmp_path / "second", port=door.port)
        assert second.process.wait(10) == 1
        assert second.stderr() == f"clickhouse door: port {door.port} on 127.0.0.1 is taken by another program\n"

    def test_taken_folder(self, start: Starter) -> None:
        door = start().wait_ready()
        second = start()
        assert second.process.wait(10) == 1
        assert second.stderr() == (
            f"clickhouse door: {door.data} is in use by another process (pid {door.process.pid})\n"
        )

    def test_ends_with_its_parent(self, start: Starter) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as parent:
            door = start("--parent-pid", str(parent.pid)).wait_ready()
            parent.kill()
        assert door.process.wait(10) == 0
