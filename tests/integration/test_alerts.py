"""Alerts over real stores: each change is told once, whoever dies, whoever is away, and however many look at once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.enrich.recording import Recorder
from functions.measure.alerts import rules_file
from functions.measure.alerts.book import Book, Entry
from functions.measure.alerts.courier import Courier
from functions.measure.alerts.readings import Readings
from functions.measure.alerts.silences import Silence
from functions.measure.alerts.watch import Watch
from functions.measure.database import Database
from functions.measure.ledger.check import SETTLE_SECONDS, Check
from functions.measure.metrics import definitions
from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.domain import minutes
from functions.shared.domain import tags as tagging
from functions.shared.domain.notification import Notification
from functions.shared.domain.series import ANOMALIES, METRICS, AnomalyRow, MetricRow
from functions.shared.errors import QueueUnavailable, SinkRefused, SinkUnavailable
from functions.shared.ports import AlertSink, Depth
from schemas.rows import LedgerRow
from tests.support.batches import Batches, Died, Mortal
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import delivery
from tests.support.questdb import QuestDb

pytestmark = pytest.mark.engines

SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
# Of today: what is old is forgotten.
START = time.time_ns() // MINUTE * MINUTE
LIVE = {"environment": "live"}
MANY = """
[rules.many]
kind = "metric"
severity = "critical"
summary = "Too many: <b> \\\\ 'quoted' \\t \\"ü\\""
metric = "events"
interval = "1m"
op = ">"
threshold = 100
for_windows = 2
repeat_after_seconds = 300
"""
DEAD = """
[rules.dead]
kind = "dead_letters"
severity = "warning"
summary = "Some are dead."
repeat_after_seconds = 0
"""


class Sink:
    """Keeps what it is told; may be away, refuse, or die after it took something."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.fails: Exception | None = None
        self.dies = False

    def send(self, told: Notification) -> None:
        if self.fails:
            raise self.fails
        self.told.append(told)
        if self.dies:
            raise Died

    def events(self) -> list[str]:
        return [one.event for one in self.told]


class World:
    """Stores, a clock that is set by hand, a queue of which the depth is said, and two sinks."""

    def __init__(self, batches: Batches, series: QuestDbSeries) -> None:
        self.batches, self.series = batches, series
        self.now = START
        self.depth: Callable[[], Depth] = lambda: Depth(0, 0, 0)
        self.sinks = {"webhook": Sink(), "sns": Sink()}
        self.book = self.book_over(batches.database(""))

    def book_over(self, database: Database) -> Book:
        return Book(database, lambda: self.now)

    def watch(self, rules: str, database: Database | None = None, give_up_seconds: int = 21_600) -> Watch:
        store = database or self.batches.database("")
        book = self.book_over(store)
        sinks: dict[str, AlertSink] = dict(self.sinks)
        courier = Courier(book, sinks, lambda: self.now, give_up_seconds, "test")
        readings = Readings(self.series, store, lambda: self.depth())
        return Watch(rules_file.parse(rules, definitions.load()), readings, book, courier, lambda: self.now)

    def tick(self, rules: str = MANY, **given: Any) -> dict[str, int]:
        """A minute later, look once."""
        self.now += MINUTE
        return {name: count for name, count in self.watch(rules, **given).tick(lambda: True).items() if count}

    def count(self, value: float | None, tags: dict[str, str] = LIVE) -> None:
        """What the window holds that the next tick is the first to look at."""
        ts = self.now + MINUTE - 2 * MINUTE
        text = tagging.canonical(tags)
        row = MetricRow(
            ts, "events", "1m", tags["environment"], None, tags.get("platform"), None, None, None, value, text,
            tagging.digest(text), "{}", "gone" if value is None else "live", self.now,
        )  # fmt: skip
        self.series.write(METRICS, [row])
        self.series.await_visible(METRICS)

    def until_it_fires(self) -> None:
        for value in (500, 500):
            self.count(value)
            self.tick()


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    server = ClickHouse(tmp_path_factory.mktemp("alerts") / "data")
    server.start()
    yield Batches(server.url, "alerts")
    server.stop()


@pytest.fixture(scope="module")
def questdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    from infra.questdb.migrate import migrate

    server = QuestDb(tmp_path_factory.mktemp("alerts-series") / "data")
    server.start()
    migrate(server.url)
    yield server
    server.stop()


@pytest.fixture
def world(batches: Batches, questdb: QuestDb) -> World:
    batches.clear()
    series = QuestDbSeries(questdb.settings())
    for table in ("metrics", "anomalies"):
        series.query(f"TRUNCATE TABLE {table}")
    return World(batches, series)


def told(world: World, route: str = "webhook") -> list[str]:
    return world.sinks[route].events()


def test_firing_still_firing_and_recovered_are_each_told_once_by_each_route(world: World) -> None:
    for value in (50, 500):
        world.count(value)
        world.tick()
    assert told(world) == []
    world.count(500)
    assert world.tick() == {"alerts_firing": 1, "alert_changes": 1, "alerts_sent": 2}
    for _ in range(4):
        world.count(500)
        assert world.tick() == {"alerts_firing": 1}
    world.count(500)
    assert world.tick()["alerts_sent"] == 2
    for value in (10, 20, 30):
        world.count(value)
        world.tick()
    for sink in world.sinks.values():
        assert sink.events() == ["firing", "still_firing", "recovered"]
        assert len({one.id for one in sink.told}) == 3
    first = world.sinks["sns"].told[0]
    assert (first.rule, first.tags, first.value) == ("many", LIVE, 500.0)
    assert first.summary == "Too many: <b> \\ 'quoted' \t \"ü\""
    events = [(entry.event, states) for entry, states in world.book.history(10)]
    assert events[0] == ("recovered", {"webhook": "sent", "sns": "sent"})
    assert [event for event, _ in events] == ["recovered", "still_firing", "firing", "pending"]


def test_a_window_without_a_value_neither_fires_nor_recovers(world: World) -> None:
    world.until_it_fires()
    for _ in range(3):
        world.count(None)
        assert world.tick() == {"alerts_firing": 1}
    world.count(5)
    world.tick()
    assert told(world) == ["firing", "recovered"]


def test_each_group_of_a_dimension_has_an_alert_of_its_own(world: World) -> None:
    rules = MANY.replace("for_windows = 2", 'by = ["platform"]')
    for platform, value in (("web", 500.0), ("ios", 5.0)):
        world.count(value, {**LIVE, "platform": platform})
    world.count(500.0, {"environment": "test", "platform": "android"})
    world.tick(rules)
    assert [one.tags["platform"] for one in world.sinks["sns"].told] == ["web"]


def test_a_run_that_dies_between_sending_and_noting_leaves_the_same_to_be_sent_again_and_nothing_else(
    world: World,
) -> None:
    world.until_it_fires()
    world.sinks["webhook"].dies = True
    world.count(5)
    with pytest.raises(Died):
        world.tick()
    world.sinks["webhook"].dies = False
    world.count(5)
    assert world.tick() == {"alerts_sent": 2}
    firing, recovered, again = world.sinks["webhook"].told
    assert (firing.event, recovered.event) == ("firing", "recovered")
    assert again == recovered
    assert told(world, "sns") == ["firing", "recovered"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("statement", [1, 2, 3])
def test_whichever_statement_a_run_dies_at_all_is_told_and_under_one_id(
    world: World, statement: int, after: bool
) -> None:
    world.count(500)
    world.tick()
    world.count(500)
    with pytest.raises(Died):
        world.tick(database=Mortal(world.batches.database(""), statement, after))
    world.count(500)
    world.tick()
    for sink in world.sinks.values():
        assert set(sink.events()) == {"firing"}
        assert len({one.id for one in sink.told}) == 1


def test_two_who_look_at_once_come_to_the_same_change(world: World) -> None:
    world.until_it_fires()
    world.count(5)
    world.now += MINUTE
    first, second = world.watch(MANY), world.watch(MANY)

    def meanwhile() -> Depth:
        second.tick(lambda: True)
        return Depth(0, 0, 0)

    world.depth = meanwhile
    rules = MANY + DEAD
    world.watch(rules).tick(lambda: True)
    first.tick(lambda: True)
    for sink in world.sinks.values():
        assert set(sink.events()) == {"firing", "recovered"}
        assert len({one.id for one in sink.told}) == 2


def test_a_route_that_is_away_holds_up_no_other_and_is_tried_until_it_is_back(world: World) -> None:
    world.sinks["webhook"].fails = SinkUnavailable("The webhook answered 500.")
    world.until_it_fires()
    assert told(world, "sns") == ["firing"]
    assert world.tick() == {"alerts_firing": 1, "alerts_untold": 1}
    world.sinks["webhook"].fails = None
    assert world.tick() == {"alerts_firing": 1, "alerts_sent": 1}
    assert (told(world), told(world, "sns")) == (["firing"], ["firing"])


def test_a_route_that_stays_away_is_given_up_after_a_while_and_that_is_counted(world: World) -> None:
    world.depth = lambda: Depth(0, 0, 3)
    world.sinks["webhook"].fails = SinkUnavailable("The webhook answered 500.")
    counts = world.tick(DEAD, give_up_seconds=120)
    assert counts == {"alerts_firing": 1, "alert_changes": 1, "alerts_untold": 1, "alerts_sent": 1}
    world.now += 2 * MINUTE
    assert world.tick(DEAD, give_up_seconds=120) == {"alerts_firing": 1, "alerts_given_up": 1}
    world.sinks["webhook"].fails = None
    assert world.tick(DEAD, give_up_seconds=120) == {"alerts_firing": 1}
    assert told(world) == []


def test_what_a_route_refuses_holds_up_nothing_after_it(world: World) -> None:
    world.sinks["webhook"].fails = SinkRefused("The webhook answered 400.")
    world.until_it_fires()
    world.depth = lambda: Depth(0, 0, 3)
    counts = world.tick(MANY + DEAD)
    assert counts == {"alerts_firing": 2, "alert_changes": 1, "alerts_untold": 2, "alerts_sent": 1}
    assert told(world, "sns") == ["firing", "firing"]


def test_a_rule_may_name_its_routes(world: World) -> None:
    world.depth = lambda: Depth(0, 0, 3)
    world.tick(DEAD + 'routes = ["sns"]\n')
    assert (told(world), told(world, "sns")) == ([], ["firing"])


def silence(world: World, until: int, rule: str = "many", **tags: str) -> str:
    silence_id = str(uuid.uuid4())
    world.book.silence(Silence(silence_id, rule, tags, world.now, until, "me", "it's known: \\ 'so'"))
    return silence_id


def test_what_is_silenced_is_written_down_and_not_told_and_is_told_when_the_silence_is_over(world: World) -> None:
    silence_id = silence(world, world.now + 4 * MINUTE + 1)
    world.until_it_fires()
    world.tick()
    assert told(world) == []
    [entry, *_] = [entry for entry, _ in world.book.history(5)]
    assert (entry.event, entry.told, entry.silence_id) == ("firing", False, silence_id)
    world.tick()
    assert told(world) == []
    world.tick()
    world.tick()
    assert told(world) == ["firing"]


def test_a_silence_can_be_ended_early_and_covers_its_tags_alone(world: World) -> None:
    other = silence(world, world.now + HOUR, "*", platform="web")
    own = silence(world, world.now + HOUR, "ma*", environment="live")
    world.until_it_fires()
    assert told(world) == []
    assert world.book.unsilence(own).until == world.now
    world.tick()
    assert told(world) == ["firing"]
    assert {one.silence_id for one in world.book.silences()} == {other, own}
    assert {one.reason for one in world.book.silences()} == {"it's known: \\ 'so'"}


def test_what_recovers_while_it_is_silenced_and_was_never_told_is_never_told(world: World) -> None:
    silence(world, world.now + 4 * MINUTE)
    world.until_it_fires()
    for _ in range(5):
        world.count(1)
        world.tick()
    assert told(world) == []
    assert [entry.event for entry, _ in world.book.history(9)] == ["recovered", "firing", "pending"]


def test_a_source_that_is_away_says_nothing_and_keeps_no_other_from_being_seen(world: World, questdb: QuestDb) -> None:
    world.until_it_fires()
    questdb.kill()
    try:
        world.depth = lambda: Depth(0, 0, 1)
        counts = world.tick(MANY + DEAD)
        assert counts == {"alerts_firing": 2, "alert_changes": 1, "alert_sources_unread": 1, "alerts_sent": 2}
    finally:
        questdb.start()

    def away() -> Depth:
        raise QueueUnavailable("away")

    world.depth = away
    world.count(5)
    assert world.tick(MANY + DEAD) == {
        "alerts_firing": 1, "alert_changes": 1, "alert_sources_unread": 1, "alerts_sent": 2
    }  # fmt: skip
    assert [(one.rule, one.event) for one in world.sinks["sns"].told] == [
        ("many", "firing"), ("dead", "firing"), ("many", "recovered")
    ]  # fmt: skip


def test_anomalies_and_the_quality_of_data_are_told_from_their_severity_up(world: World) -> None:
    rules = """
    [rules.odd]
    kind = "anomaly"
    severity = "warning"
    summary = "Odd."
    at_least = "high"
    [rules.bad_data]
    kind = "quality"
    severity = "warning"
    summary = "Bad."
    series = "quality.*"
    at_least = "medium"
    for_windows = 2
    """

    def judge(metric: str, severity: str, run: int, tags: dict[str, str] = LIVE) -> None:
        text = tagging.canonical(tags)
        ts = (world.now // MINUTE - 1) * MINUTE
        row = AnomalyRow(
            ts, metric, "1m", text, tagging.digest(text), 5.0, 1.0, 0.0, 2.0, 0.9, severity, run, run > 0, "live", ts
        )
        world.series.write(ANOMALIES, [row])

    for severity, run in (("high", 1), ("high", 2), ("none", 0), ("none", 0)):
        judge("events", severity, run)
        judge("revenue", "medium" if run else "none", run)
        judge("quality.null_share", "medium" if run else "none", run)
        judge("events", severity, run, {"environment": "test"})
        world.series.await_visible(ANOMALIES)
        world.tick(rules)
    seen = [(one.rule, one.event, one.tags["metric"]) for one in world.sinks["sns"].told]
    assert seen == [
        ("odd", "firing", "events"),
        ("bad_data", "firing", "quality.null_share"),
        ("odd", "recovered", "events"),
        ("bad_data", "recovered", "quality.null_share"),
    ]


def test_stages_that_are_late_are_told(world: World) -> None:
    rules = """
    [rules.stored]
    kind = "lag"
    severity = "warning"
    summary = "Late."
    stage = "stored"
    seconds = 1
    [rules.measured]
    kind = "lag"
    severity = "warning"
    summary = "Late."
    stage = "measured"
    seconds = 60
    [rules.batches]
    kind = "batch_late"
    severity = "warning"
    summary = "Late."
    seconds = 60
    """
    assert world.tick(rules) == {}
    run = "INSERT INTO measure_runs (run_id, kind, state, began_at, ended_at, version) SELECT"
    for statement in (
        "INSERT INTO touched (attempt_id, touched_at) SELECT generateUUIDv4(), now64(3) - INTERVAL 5 MINUTE",
        f"{run} generateUUIDv4(), 'tick', 'done', now64(3) - INTERVAL 3 MINUTE, now64(3) - INTERVAL 2 MINUTE, 1",
        f"{run} generateUUIDv4(), 'tick', 'unfinished', now64(3), now64(3), 1",
        "INSERT INTO raw_events (event_id, timestamp, received_at, stored_at)"
        " SELECT generateUUIDv4(), now64(9), now64(9) - INTERVAL 9 SECOND, now64(9)",
    ):
        world.batches.client.command(statement)
    world.tick(rules)
    values = {one.rule: one.value for one in world.sinks["sns"].told}
    assert values.keys() == {"stored", "measured", "batches"}
    assert values["stored"] == pytest.approx(9, abs=0.1)


def test_a_ledger_that_does_not_balance_is_told_once_its_minute_had_its_time_and_told_again_once_it_does(
    world: World,
) -> None:
    """As it ships, each look with a run of the check before it, as a tick has it."""
    rules = "[rules.ledger]" + rules_file.SHIPPED.read_text().partition("[rules.ledger]")[2].partition("[rules.")[0]
    batch, received_at = str(uuid.uuid4()), world.now + SECOND
    two = [delivery(batch_id=batch, batch_index=n, received_at=received_at, key_id="live_a") for n in range(2)]
    told_of = (minutes.of(received_at), "live_a", batch, received_at, 0)
    world.batches.tables.note(str(uuid.uuid4()), [LedgerRow(*told_of, "tally", 2)])

    def looked(ticks: int) -> list[str]:
        for _ in range(ticks):
            Check(world.batches.database(""), lambda: world.now + MINUTE).run()
            world.tick(rules)
        return told(world)

    young = SETTLE_SECONDS // 60
    assert looked(young) == []
    assert looked(1) == ["firing"]
    assert world.sinks["webhook"].told[0].value == 2.0
    assert looked(3) == ["firing"]
    Recorder(world.batches.tables, lambda: str(uuid.uuid4())).record(two[:1], [LedgerRow(*told_of, "outcome", 1)])
    assert looked(1) == ["firing"]
    Recorder(world.batches.tables, lambda: str(uuid.uuid4())).record(two, [LedgerRow(*told_of, "outcome", 2)])
    assert looked(3) == ["firing", "recovered"]
    assert told(world, "sns") == ["firing", "recovered"]


def test_an_alert_whose_rule_is_gone_or_is_about_something_else_recovers(world: World) -> None:
    world.until_it_fires()
    world.tick(MANY.replace('interval = "1m"', 'interval = "1m"\ntags = { platform = "web" }'))
    assert told(world) == ["firing", "recovered"]
    world.depth = lambda: Depth(0, 0, 1)
    world.tick(DEAD)
    world.tick("")
    assert told(world)[2:] == ["firing", "recovered"]


def test_many_changes_at_once_are_written_whole(world: World) -> None:
    entries = [
        Entry(
            str(uuid.uuid4()), 1, str(uuid.uuid4()), "firing", "firing", True, "", "r", LIVE, "info", "ü" * 500,
            "c" * 100, ("sns",), None, 1, 2, 3, START,
        )
        for _ in range(130)
    ]  # fmt: skip
    world.book.write(entries)
    due = world.book.due(START - 1, ["sns", "file"])
    assert sorted(one.entry.alert_id for one in due) == sorted(one.alert_id for one in entries)
    assert due[0].entry in [entry._replace(routes=["sns"]) for entry in entries]
    world.book.note(entries[0].change_id, "sns", "sent", 1)
    assert len(world.book.due(START - 1, ["sns", "file"])) == 129
    assert len(world.book.due(START - 1, ["file"])) == 0
