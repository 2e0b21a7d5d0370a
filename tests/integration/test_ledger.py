"""The ledger on the real engine: its sums are what the rules say of its rows, and what the stores hold."""

import json
import random
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import clickhouse_connect
import pytest
import typer
from typer.testing import CliRunner, Result

from functions.enrich.recording import Recorder
from functions.enrich.tables import Place
from functions.measure.ledger.audit import Audited, Finding, audit
from functions.measure.ledger.check import SETTLE_SECONDS, Check, Unbalanced, unbalanced
from functions.measure.ledger.keeper import Keeper
from functions.serve.service import ServeService
from functions.shared import wiring
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.domain import ledger, ledger_sql, minutes, tallies
from functions.shared.domain.ledger import RESENT, Account, Line, Rows
from functions.shared.domain.ledger_sql import Bucket, Range
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import Depth
from functions.shared.settings import StoreSettings
from infra.cli import audit as command
from schemas import tally
from schemas.rows import Delivery, LedgerRow
from schemas.tally import Tally
from tests.support import deliveries
from tests.support.clickhouse import ClickHouse, with_tables

pytestmark = pytest.mark.engines
MINUTE = 60_000_000_000
# Of days long past the ledger keeps nothing.
NOW = time.time_ns() // (60 * MINUTE) * (60 * MINUTE) - 60 * MINUTE
SINCE = minutes.of(NOW)


def delivery(**changed: Any) -> Delivery:
    return deliveries.delivery(**{"received_at": NOW, "timestamp": NOW, **changed})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with with_tables(tmp_path_factory.mktemp("store")) as server:
        yield server


TABLES = (
    "ledger",
    "ledger_checks",
    "dead_letter_states",
    "dead_letters",
    "raw_events",
    "processed_events",
    "event_deliveries",
    "touched",
)


@pytest.fixture
def tables(engine: ClickHouse) -> ClickHouseTables:
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        for table in TABLES:
            client.command(f"TRUNCATE TABLE {table}")
    return ClickHouseTables(StoreSettings(clickhouse_url=engine.url))


def lines(engine: ClickHouse, bucket: Bucket, asked: Range | None = None) -> list[Line]:
    database = ClickHouseBatch(StoreSettings(clickhouse_url=engine.url))
    given = {**(asked or Range(SINCE, SINCE + 3600)).parameters(), "limit": 10_000}
    return ledger.lines(
        database.rows(ledger_sql.accounts(bucket), given), database.rows(ledger_sql.stores(bucket), given)
    )


def some(chance: random.Random, received_at: int, size: int) -> list[int]:
    return chance.sample(range(size + 2), chance.randrange(size + 1)) if chance.random() < 0.5 else []


def request(chance: random.Random) -> list[LedgerRow]:
    """Rows of one request as they may lie in the ledger: some twice, some parts not recorded yet."""
    received_at = NOW + chance.randrange(5) * MINUTE + chance.randrange(MINUTE)
    where = (minutes.of(received_at), chance.choice(("live_a", "test_b")), str(uuid.uuid4()), received_at)
    found = []
    for first in (0, 3)[: chance.randrange(1, 3)]:
        size = 3 if first == 0 else chance.randrange(1, 5)
        dropped = {chance.choice(("consent", "origin", RESENT)): chance.randrange(3)} if first == 0 else {}
        found += [LedgerRow(*where, first, "tally", size, dropped=dropped)] * chance.randrange(3)
        lists: dict[str, Any] = {name: some(chance, received_at, 7) for name in ("failed", "superseded")}
        found += [LedgerRow(*where, first, "outcome", size, **lists)] * chance.randrange(3)
    more: dict[str, Any] = {name: some(chance, received_at, 7) for name in ("superseded", "mended")}
    return found + [LedgerRow(*where, 0, "correction", **more)] * chance.randrange(2)


def test_the_engine_sums_up_as_the_rules_do(engine: ClickHouse, tables: ClickHouseTables) -> None:
    chance = random.Random(3)
    requests = [rows for _ in range(400) if (rows := request(chance))]
    shuffled = [row for rows in requests for row in rows]
    chance.shuffle(shuffled)
    tables.note(str(uuid.uuid4()), shuffled)
    wanted: defaultdict[tuple[int, str], Account] = defaultdict(Account)
    for rows in requests:
        wanted[rows[0].minute, rows[0].key_id] = wanted[rows[0].minute, rows[0].key_id].plus(ledger.account(rows))
    found = {(line.bucket, line.key_id): line.account for line in lines(engine, "minute")}
    plain = {place: one._replace(dropped={k: v for k, v in one.dropped.items() if v}) for place, one in wanted.items()}
    assert found == plain
    by_key = {line.key_id: line.account for line in lines(engine, "key")}
    for key_id, account in by_key.items():
        total = Account()
        for (_, own), one in plain.items():
            total = total.plus(one) if own == key_id else total
        assert account == total
    assert [line.key_id for line in lines(engine, "hour")] == ["live_a", "test_b"]


def test_what_was_recorded_is_what_the_store_holds(engine: ClickHouse, tables: ClickHouseTables) -> None:
    batch, event = str(uuid.uuid4()), str(uuid.uuid4())
    block = [
        delivery(event_id=event, failed=True, batch_id=batch, batch_index=0, key_id="live_a"),
        delivery(failed=True, batch_id=batch, batch_index=1, key_id="live_a"),
        delivery(batch_id=batch, batch_index=2, key_id="live_a"),
    ]
    part = LedgerRow(SINCE, "live_a", batch, NOW, 0, "outcome", 3, host="h")
    recorder = Recorder(tables, lambda: str(uuid.uuid4()))
    for _ in range(2):
        recorder.record(block, [part])
    assert lines(engine, "minute") == [Line(SINCE, "live_a", Account(3, 1, 2), Rows(1, 2), 3)]
    other, later = str(uuid.uuid4()), NOW + MINUTE
    better = delivery(event_id=event, received_at=later, batch_id=other, key_id="test_b")
    recorder.record([better], [LedgerRow(SINCE + 60, "test_b", other, later, 0, "outcome", 1)])
    assert lines(engine, "minute") == [
        Line(SINCE, "live_a", Account(3, 1, 1, 1), Rows(1, 1), 3),
        Line(SINCE + 60, "test_b", Account(1, 1), Rows(1), 1),
    ]
    assert [line.unaccounted for line in lines(engine, "minute")] == [0, 0]
    assert [line.key_id for line in lines(engine, "key", Range(SINCE, SINCE + 120, environment="test"))] == ["test_b"]
    assert lines(engine, "minute", Range(SINCE, SINCE + 60, "test_b")) == []


class Waiting:
    """Tallies that wait, and come again until they are done."""

    def __init__(self, *told: str) -> None:
        self.told, self.taken = list(told), 0

    def take(self, limit: int) -> list[str]:
        self.taken = min(limit, len(self.told))
        return self.told[: self.taken]

    def done(self) -> None:
        self.told = self.told[self.taken :]


def tallied(minute: int, events: int) -> Tally:
    received_at = minute * 1_000_000_000
    return Tally(batch_id=str(uuid.uuid4()), key_id="live_a", received_at=received_at, events=events)


def checked(engine: ClickHouse, after_seconds: int) -> Unbalanced:
    database = ClickHouseBatch(StoreSettings(clickhouse_url=engine.url))
    Check(database, lambda: NOW + after_seconds * 1_000_000_000).run()
    return unbalanced(database)


def test_tallies_are_taken_once_they_are_in_the_ledger(engine: ClickHouse, tables: ClickHouseTables) -> None:
    told = tallied(SINCE, 3)
    waiting = Waiting(tally.text(told), "", "no tally", tally.text(told))

    def away(_: Sequence[LedgerRow]) -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        Keeper(waiting, away, lambda: NOW).take(lambda: True)
    assert len(waiting.told) == 4
    keeper = Keeper(waiting, lambda rows: tables.note(str(uuid.UUID(int=0)), rows), lambda: NOW)
    assert keeper.take(lambda: True) == (2, True)
    assert waiting.told == []
    assert lines(engine, "minute") == [Line(SINCE, "live_a", Account(3, in_flight=3))]


def test_a_run_takes_the_tallies_of_before_it_and_ends_while_more_come(
    engine: ClickHouse, tables: ClickHouseTables
) -> None:
    waiting = Waiting(*(tally.text(tallied(SINCE + second, 1)) for second in range(9)))
    waiting.take = lambda limit: Waiting.take(waiting, 2)  # type: ignore[method-assign]
    keeper = Keeper(waiting, lambda rows: tables.note(str(uuid.UUID(int=0)), rows), lambda: (SINCE + 4) * 1_000_000_000)
    assert keeper.take(lambda: True) == (6, True)
    assert len(waiting.told) == 3


def test_a_minute_has_five_and_is_then_looked_at_until_it_balances(
    engine: ClickHouse, tables: ClickHouseTables
) -> None:
    one = delivery(key_id="live_a", batch_id=str(uuid.uuid4()))
    told = LedgerRow(SINCE, "live_a", one.raw.batch_id, NOW, 0, "tally", 1)
    tables.note(str(uuid.uuid4()), [told])
    assert checked(engine, 60 + SETTLE_SECONDS - 1) == (0, 0, None)
    assert checked(engine, 60 + SETTLE_SECONDS) == (1, 1, SINCE)
    assert checked(engine, 1_800) == (1, 1, SINCE)
    Recorder(tables, lambda: str(uuid.uuid4())).record([one], [told._replace(kind="outcome")])
    assert checked(engine, 1_860) == (0, 0, None)


def test_a_minute_whose_ledger_and_rows_are_gone_is_balanced(engine: ClickHouse, tables: ClickHouseTables) -> None:
    tables.note(str(uuid.uuid4()), [tallies.row(tallied(SINCE, 2))])
    assert checked(engine, 600).events == 2
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        client.command("TRUNCATE TABLE ledger")
    assert checked(engine, 660).events == 0


def test_what_was_given_up_is_dead_and_no_longer_in_flight(engine: ClickHouse, tables: ClickHouseTables) -> None:
    told = tallied(SINCE, 3)
    tables.note(str(uuid.uuid4()), [tallies.row(told)])
    columns = ["received_at", "batch_id", "batch_index", "key_id", "state", "version"]
    rows = [f'["{told.received_at}","{told.batch_id}",{place},"live_a","dead",1]' for place in (0, 2)]
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        client.raw_insert("dead_letter_states", columns, "\n".join(rows).encode(), fmt="JSONCompactEachRow")
    assert lines(engine, "minute") == [Line(SINCE, "live_a", Account(3, dead=2, in_flight=1))]


def test_a_row_that_is_gone_shows(engine: ClickHouse, tables: ClickHouseTables) -> None:
    one = delivery(key_id="live_a")
    part = LedgerRow(SINCE, "live_a", one.raw.batch_id, NOW, 0, "outcome", 1)
    Recorder(tables, lambda: str(uuid.uuid4())).record([one], [part])
    tables.remove(tables.rows([Place(one.raw.event_id, NOW)]))
    assert [line.difference for line in lines(engine, "minute")] == [1]


def audited(engine: ClickHouse, most: int = 100) -> Audited:
    return audit(ClickHouseBatch(StoreSettings(clickhouse_url=engine.url)), SINCE, SINCE + 3_600, most)


def named(engine: ClickHouse, *deliveries: Delivery) -> list[tuple[str, str]]:
    ids = {one.raw.event_id for one in deliveries}
    return [(one.kind, one.event_id) for one in audited(engine).findings if one.event_id in ids]


def test_an_audit_of_what_is_whole_finds_nothing(engine: ClickHouse, tables: ClickHouseTables) -> None:
    batch = str(uuid.uuid4())
    block = [delivery(batch_id=batch, batch_index=place, failed=place == 1, key_id="live_a") for place in range(3)]
    told = LedgerRow(SINCE, "live_a", batch, NOW, 0, "tally", 3)
    tables.note(str(uuid.uuid4()), [told])
    for _ in range(2):
        Recorder(tables, lambda: str(uuid.uuid4())).record(block, [told._replace(kind="outcome")])
    assert audited(engine) == Audited(Account(3, 2, 1), 0, [], True)


@pytest.mark.parametrize(
    ("table", "status", "kinds"),
    [
        ("raw_events", "processed", ["missing", "processed_alone"]),
        ("processed_events", "processed", ["not_processed"]),
        ("raw_events", "failed", ["missing"]),
        ("ledger", "", ["unknown", "unknown"]),
    ],
)
def test_an_audit_names_what_was_deleted_by_hand(
    engine: ClickHouse, tables: ClickHouseTables, table: str, status: str, kinds: list[str]
) -> None:
    batch = str(uuid.uuid4())
    block = [delivery(batch_id=batch, batch_index=place, failed=place == 1, key_id="live_a") for place in range(2)]
    part = LedgerRow(SINCE, "live_a", batch, NOW, 0, "outcome", 2)
    Recorder(tables, lambda: str(uuid.uuid4())).record(block, [part])
    gone = [one for one in block if status in ("", one.raw.processing_status)]
    ids = ",".join(f"'{one.raw.event_id}'" for one in gone)
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        where = "1" if table == "ledger" else f"event_id IN ({ids})"
        client.command(f"DELETE FROM {table} WHERE {where}", settings={"lightweight_deletes_sync": 2})
    assert [kind for kind, _ in named(engine, *gone)] == kinds
    found = audited(engine, most=1)
    assert (len(found.findings), found.complete) == (1, len(kinds) == 1)


def test_an_audit_names_the_places_of_what_was_never_recorded(engine: ClickHouse, tables: ClickHouseTables) -> None:
    told = tallied(SINCE, 2)
    tables.note(str(uuid.uuid4()), [tallies.row(told)])
    assert audited(engine).findings == [
        Finding("not_recorded", SINCE, "live_a", told.batch_id, place, "") for place in range(2)
    ]


@pytest.fixture
def run_command(engine: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """`weir audit` with these options."""
    monkeypatch.setenv("WEIR_CLICKHOUSE_URL", engine.url)
    app = typer.Typer()
    command.register(app)
    wiring.measure_settings.cache_clear()
    wiring.measured_store.cache_clear()
    yield lambda *options: CliRunner().invoke(app, list(options))
    wiring.measure_settings.cache_clear()
    wiring.measured_store.cache_clear()


@pytest.mark.parametrize("lost", [False, True])
def test_the_command_ends_with_1_when_an_event_is_not_where_it_should_be(
    tables: ClickHouseTables, run_command: Callable[..., Result], lost: bool
) -> None:
    one = delivery(key_id="live_a")
    part = LedgerRow(SINCE, "live_a", one.raw.batch_id, NOW, 0, "outcome", 1)
    Recorder(tables, lambda: str(uuid.uuid4())).record([one], [part])
    if lost:
        tables.remove(tables.rows([Place(one.raw.event_id, NOW)]))
    done = run_command("--json")
    told = json.loads(done.stdout)
    named = [(one["kind"], one["event_id"]) for one in told["findings"]]
    assert (done.exit_code, named) == (int(lost), [("missing", one.raw.event_id)] if lost else [])
    assert told["account"]["received"] == 1


def test_the_command_says_what_it_has_not_looked_at_and_how_to_look(
    tables: ClickHouseTables, run_command: Callable[..., Result]
) -> None:
    just_now = time.time_ns()
    one = delivery(received_at=just_now, timestamp=just_now, key_id="live_a")
    part = LedgerRow(minutes.of(just_now), "live_a", one.raw.batch_id, just_now, 0, "outcome", 1)
    Recorder(tables, lambda: str(uuid.uuid4())).record([one], [part])
    before = run_command()
    asked = re.search(r"is not looked at, .*: weir audit (--to \S+) does$", before.stdout, re.MULTILINE)
    assert asked, before.stdout
    assert re.match(r"from \S+Z to \S+Z:\n0 received ", before.stdout)
    after = run_command(*asked[1].split())
    assert "\n1 received = 1 stored " in after.stdout
    assert "not looked at" not in after.stdout
    for done in (before, after):
        assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "everything is where the ledger says")


@pytest.mark.parametrize("given", [["--from", "yesterday"], ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01"]])
def test_the_command_says_what_is_no_time(given: list[str]) -> None:
    app = typer.Typer()
    command.register(app)
    assert CliRunner().invoke(app, given).exit_code == 1


def traced(engine: ClickHouse, event_id: str) -> dict[str, Any]:
    reader = ClickHouseReader(engine.url, "weir")
    return ServeService(reader, lambda: Depth(0, 0, 0), (), time.time_ns).trace(event_id)


def test_a_trace_has_every_attempt_with_its_host(engine: ClickHouse, tables: ClickHouseTables) -> None:
    event = str(uuid.uuid4())
    one = delivery(event_id=event, failed=True, batch_index=2, key_id="live_a")
    told = LedgerRow(SINCE, "live_a", one.raw.batch_id, NOW, 1, "tally", 3, host="collect", request_id="request-1")
    tables.note(str(uuid.uuid4()), [told])
    part = told._replace(kind="outcome", request_id="", queued_at=NOW + 1, started_at=NOW + 2)
    for attempt in (1, 2):
        tried = part._replace(attempt=attempt, host=f"enrich-{attempt}")
        Recorder(tables, lambda: str(uuid.uuid4())).record([one], [tried])
    better = delivery(event_id=event, received_at=NOW + MINUTE, key_id="live_a")
    other = LedgerRow(SINCE + 60, "live_a", better.raw.batch_id, NOW + MINUTE, 0, "outcome", 1, attempt=1, host="late")
    Recorder(tables, lambda: str(uuid.uuid4())).record([better], [other])
    found = traced(engine, event)
    assert (found["state"], found["batch_id"]) == ("processed", better.raw.batch_id)
    told_of = {(each["outcome"], each.get("attempt"), each.get("host")) for each in found["attempts"]}
    assert told_of == {
        ("failed", 1, "enrich-1"),
        ("failed", 2, "enrich-2"),
        ("stored", 1, "late"),
        ("superseded", None, None),
    }
    assert found["dead_letters"] == []


def test_a_time_that_is_not_known_takes_no_room_and_is_that_of_receipt_in_a_trace(
    engine: ClickHouse, tables: ClickHouseTables
) -> None:
    one = delivery(event_id=str(uuid.uuid4()), key_id="live_a")
    told = LedgerRow(SINCE, "live_a", one.raw.batch_id, NOW, 0, "tally", 1, host="collect", request_id="request-1")
    tables.note(str(uuid.uuid4()), [told])
    Recorder(tables, lambda: str(uuid.uuid4())).record([one], [told._replace(kind="outcome", attempt=1)])
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        # Nanoseconds of the receipt once more could not be compressed, in rows that are small otherwise.
        times = client.query("SELECT toUnixTimestamp64Nano(queued_at), toUnixTimestamp64Nano(started_at) FROM ledger")
        assert list(times.result_rows) == [(0, 0), (0, 0)]
    (attempt,) = traced(engine, one.raw.event_id)["attempts"]
    assert attempt["queued_at"] == attempt["started_at"] == attempt["received_at"]


def test_a_trace_of_what_was_given_up_says_why(engine: ClickHouse, tables: ClickHouseTables) -> None:
    told, event = tallied(SINCE, 1), str(uuid.uuid4())
    tables.note(str(uuid.uuid4()), [tallies.row(told)._replace(host="collect")])
    place = f'"{told.received_at}","{told.batch_id}",0,"live_a"'
    columns = ["received_at", "batch_id", "batch_index", "key_id"]
    with clickhouse_connect.get_client(dsn=engine.url, database="weir", autogenerate_session_id=False) as client:
        letter, state = [*columns, "event_id", "dead_at"], [*columns, "state", "cause", "tries", "version"]
        for table, names, row in (
            ("dead_letters", letter, f'[{place},"{event}","{NOW}"]'),
            ("dead_letter_states", state, f'[{place},"dead","It raised.",5,1]'),
        ):
            client.raw_insert(table, names, row.encode(), fmt="JSONCompactEachRow")
    found = traced(engine, event)
    assert (found["state"], found["stages"][0]["host"]) == ("dead", "collect")
    assert [(one["cause"], one["attempts"], one["state"]) for one in found["dead_letters"]] == [
        ("It raised.", 5, "dead")
    ]
