"""Metrics over a real store: equal to a plain computation, whatever the order and splits in which changes arrive."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from functions.measure import attempts
from functions.measure.doubts import Doubts
from functions.measure.lease import LeaseLost
from functions.measure.metrics import definitions
from functions.measure.metrics.names import MOST_NAMES
from functions.measure.metrics.plan import Plan
from functions.measure.metrics.update import Changed, MetricsUpdater, Report
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings
from tests.integration.serve_store import Store, running_store
from tests.support.halting import Halted
from tests.support.reference_metrics import metrics
from tests.support.stitched import SECOND, Event, Stitched, random_events, sessions_of

pytestmark = pytest.mark.engines

DAY = 86_400
SINCE = 1_767_225_600
PLAN = Plan(definitions.load())
Note = Callable[[Sequence[Event], Sequence[Event]], Changed]
# The attempts that nobody told of yet; those that stored other deliveries of known events did not only come.
TOLD = """SELECT attempt_id, groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))),
    endsWith(toString(attempt_id), 'a')
FROM raw_events WHERE attempt_id NOT IN (SELECT attempt_id FROM told_attempts) GROUP BY attempt_id"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("metrics")) as running:
        yield running


class World:
    """A store without metrics, and an updater of them."""

    def __init__(self, store: Store) -> None:
        self.stitched = Stitched(store.client)
        states = ("metric_states", "metric_touched", "metric_progress", "measure_progress", "visitor_first_rows")
        for table in (*states, "tracked_event_names", "export_doubts", "told_attempts"):
            store.client.command(f"TRUNCATE TABLE {table}")
        store.client.command("INSERT INTO measure_progress (stage, version) VALUES ('remembered', 1)")
        self.client = store.client
        self.series = MemorySeries()
        self.database = Interrupted(StoreSettings(clickhouse_url=store.url, clickhouse_database=store.database))
        self.clock = count(1).__next__
        self.doubts = Doubts("metrics", self.database, self.database)
        self.measured_by(PLAN)

    def measured_by(self, plan: Plan) -> None:
        """Let other definitions hold from here on."""
        self.updater = MetricsUpdater(self.database, self.series, plan, self.clock, self.doubts)

    def change(self, before: Sequence[Event], after: Sequence[Event], exactly: bool = False) -> None:
        """Let the events be others, and update what that touches. ``exactly``: by what each change concerns."""
        self.stitched.put(after)
        self.updater.update((concerned if exactly else touched)(before, after))

    def rebuild(self, since: int, until: int) -> Report:
        """Compute a range anew, as stitching it notes it."""
        blocks = "SELECT toUInt32({first:UInt32} + 600 * number), 'all' FROM numbers({blocks:UInt32})"
        given = {"first": since, "blocks": -(-(until - since) // 600)}
        return self.updater.update(Changed(blocks, given, attempts.of_rows("true")))

    def values(self) -> dict[Any, float]:
        """What readers find."""
        sql = "SELECT ts, metric_name, interval, tags, value FROM metrics WHERE state = 'live'"
        rows = self.series.query(sql)
        return {
            (name, interval, ts, tuple(sorted(json.loads(tags).items()))): value
            for ts, name, interval, tags, value in rows
        }


class Interrupted(ClickHouseBatch):
    """Dies before or after the n-th statement that writes, or has each sent twice, as by a proxy that tries again."""

    def __init__(self, settings: StoreSettings) -> None:
        super().__init__(settings)
        self.until: int | None = None
        self.twice = False

    def run(self, sql: str, parameters: Any) -> None:
        if self.until is not None:
            self.until -= 1
            if self.until < 0:
                raise StoreUnavailable("The store did not answer.")
        super().run(sql, parameters)
        if self.twice:
            super().run(sql, parameters)


def touched(before: Sequence[Event], after: Sequence[Event]) -> Changed:
    """The instants of events and of sessions' starts that are no more as they were."""
    seconds = {*_changed_events(before, after), *_changed_sessions(before, after)}
    sql = "SELECT arrayJoin({seconds:Array(UInt32)}), 'all'"
    return Changed(sql, {"seconds": sorted(seconds)}, attempts.of_rows("true"))


def concerned(before: Sequence[Event], after: Sequence[Event]) -> Changed:
    """The same, each with what it concerns, as stitching tells it."""
    known = {event.event_id for event in before}
    came = {event.at // SECOND for event in after if event.event_id not in known}
    others = {event.at // SECOND for event in set(before) ^ set(after) if event.event_id in known}
    seconds = {
        "arrived": others,
        "told": came,
        "came": came,
        "visitors": others,
        "sessions": _changed_sessions(before, after),
    }
    sql = " UNION ALL ".join(f"SELECT arrayJoin({{{what}:Array(UInt32)}}), '{what}'" for what in seconds)
    return Changed(sql, {what: sorted(some) for what, some in seconds.items()}, TOLD)


def _changed_events(before: Sequence[Event], after: Sequence[Event]) -> set[int]:
    return {event.at // SECOND for event in set(before) ^ set(after)}


def _changed_sessions(before: Sequence[Event], after: Sequence[Event]) -> set[int]:
    old, new = ({(s.session_id, s.started_at, tuple(s.events)) for s in sessions_of(one)} for one in (before, after))
    return {start // SECOND for _, start, _ in old ^ new}


def agree(world: World, events: Sequence[Event]) -> None:
    found, wanted = world.values(), metrics(events, sessions_of(events))
    assert {key: value for key, value in found.items() if wanted.get(key) != pytest.approx(value, rel=1e-12)} == {}
    assert wanted.keys() == found.keys()


def test_a_rebuild_is_what_a_plain_computation_says(store: Store) -> None:
    world, events = World(store), random_events(1, 400, SINCE, 2 * DAY)
    world.stitched.put(events)
    world.rebuild(SINCE, SINCE + 2 * DAY)
    agree(world, events)


@pytest.mark.parametrize(("seed", "exactly"), [(0, False), (1, False), (0, True), (1, True), (2, True)])
def test_changes_in_any_order_end_in_the_same_values(store: Store, seed: int, exactly: bool) -> None:
    chance = random.Random(seed)
    world, events = World(store), random_events(seed, 120, SINCE, DAY)
    chance.shuffle(events)
    before: list[Event] = []
    while len(before) < len(events):
        after = events[: len(before) + chance.randrange(20, 80)]
        world.change(before, after, exactly)
        before = after
    # A login comes late: an anonymous visitor was a user all along. Then some of it is undone, and some goes.
    merged = [event if event.visitor != "a:1" else Event(**{**vars(event), "visitor": "a:2"}) for event in events]
    world.change(events, merged, exactly)
    agree(world, merged)
    world.change(merged, events, exactly)
    agree(world, events)
    # A better delivery came with a key of the other environment.
    tested = [event if event.visitor != "a:3" else Event(**{**vars(event), "environment": "test"}) for event in events]
    world.change(events, tested, exactly)
    agree(world, tested)
    world.change(tested, tested[:30], exactly)
    agree(world, tested[:30])


@pytest.mark.parametrize("exactly", [False, True])
def test_a_rebuild_of_what_stands_changes_nothing(store: Store, exactly: bool) -> None:
    world, events = World(store), random_events(5, 200, SINCE, DAY)
    world.change([], events[:100], exactly)
    world.change(events[:100], events[:150], exactly)
    world.change(events[:150], events, exactly)
    again = world.rebuild(SINCE, SINCE + DAY)
    assert (again.groups, again.exported) == (0, 0)


def test_events_that_only_came_are_added_and_their_blocks_not_read_again(store: Store) -> None:
    world, events = World(store), random_events(15, 90, SINCE, 1_200)
    world.change([], events[:60], exactly=True)
    world.stitched.put(events)
    for table in ("session_event_rows", "processed_events", "raw_events"):
        world.client.command(f"TRUNCATE TABLE {table}")
    world.stitched.insert_newest()
    world.updater.update(concerned(events[:60], events))
    agree(world, events)


def volume(world: World) -> float:
    """All deliveries, good or bad."""
    return sum(
        value for (name, step, _, tags), value in world.values().items()
        if (name, step, len(tags)) == ("quality.volume", "1d", 1)
    )  # fmt: skip


def test_rows_of_an_attempt_that_did_not_tell_yet_are_left_out_until_it_does(store: Store) -> None:
    world, events = World(store), random_events(22, 60, SINCE, 500)
    world.change([], events[:40], exactly=True)
    world.stitched.put(events[:50])
    told = list(world.database.rows(f"SELECT attempt_id FROM ({TOLD})", {}))
    world.stitched.put(events)
    # The block is read anew, and has rows of two attempts that are not measured: one has told, the other has not.
    [[attempt]] = told
    blocks = "SELECT arrayJoin({seconds:Array(UInt32)}), 'arrived'"
    seconds = {"seconds": [event.at // SECOND for event in events]}
    world.updater.update(Changed(blocks, seconds, f"{TOLD} HAVING toString(attempt_id) = '{attempt}'"))
    assert volume(world) == 50
    world.updater.update(concerned(events[:40], events))
    assert volume(world) == 60
    # What is stitched had not been told in this test.
    as_they_came = {name for name, place in PLAN.places.items() if place.source in ("raw", "events")}
    found, wanted = world.values(), metrics(events, sessions_of(events))
    assert {key: value for key, value in found.items() if key[0] in as_they_came} == pytest.approx(
        {key: value for key, value in wanted.items() if key[0] in as_they_came}
    )


def remembered(world: World, hours_ago: float) -> None:
    """Let attempts be remembered since so many hours ago."""
    world.client.command("TRUNCATE TABLE measure_progress")
    world.client.command(
        "INSERT INTO measure_progress (stage, version) SELECT 'remembered',"
        f" toUnixTimestamp64Milli(now64(3)) - {round(hours_ago * 3_600_000)}"
    )


@pytest.mark.parametrize(("hours_ago", "counted", "old"), [(-1, 30, 30), (1, 0, 0), (None, 30, 0)])
def test_rows_that_are_older_than_what_is_remembered_of_attempts_count_whoever_told(
    store: Store, hours_ago: float | None, counted: int, old: int
) -> None:
    world, events = World(store), random_events(23, 30, SINCE, 500)
    if hours_ago is None:
        world.client.command("TRUNCATE TABLE measure_progress")
    else:
        remembered(world, hours_ago)
    world.stitched.put(events)
    blocks = "SELECT arrayJoin({seconds:Array(UInt32)}), 'arrived'"
    world.updater.update(Changed(blocks, {"seconds": [event.at // SECOND for event in events]}))
    assert volume(world) == counted
    # Nobody takes such an attempt for new, however late it tells.
    found = world.client.command(f"SELECT countIf(attempt_id IN ({attempts.of_old_rows('true')})) FROM raw_events")
    assert found == old


@pytest.mark.parametrize(("remembers", "hours"), [(None, 24), (False, 0), (True, 24)])
def test_what_is_remembered_of_attempts_moves_forward_and_begins_now_where_the_last_merge_remembered_none(
    store: Store, remembers: bool | None, hours: int
) -> None:
    world = World(store)
    world.client.command("TRUNCATE TABLE measure_progress")
    if remembers is not None:
        world.client.command(f"INSERT INTO metric_progress (stage, batch, remembers) VALUES ('merged', 1, {remembers})")
    ago = "SELECT intDiv(toUnixTimestamp64Milli(now64(3)) - max(version), 3600000) FROM measure_progress"
    for _ in range(2):
        world.database.run(attempts.REMEMBER, {})
        assert world.client.command(ago) == hours
        assert world.client.command("SELECT count() FROM measure_progress") == 1
    later = "INSERT INTO measure_progress (stage, version) SELECT 'remembered', toUnixTimestamp64Milli(now64(3)) + 9e6"
    world.client.command(later)
    world.database.run(attempts.REMEMBER, {})
    assert world.client.command(ago) < 0


def test_what_was_noted_before_what_is_remembered_is_read_and_not_added_to(store: Store) -> None:
    world, events = World(store), random_events(24, 60, SINCE, 500)
    world.change([], events[:40], exactly=True)
    world.stitched.put(events)
    world.updater.note(concerned(events[:40], events))
    # Nobody merged for days, and what was told is let go.
    world.client.command(
        "ALTER TABLE metric_touched UPDATE noted_at = now() - 200000 WHERE true SETTINGS mutations_sync = 2"
    )
    world.client.command("TRUNCATE TABLE told_attempts")
    world.client.command(
        "INSERT INTO measure_progress (stage, version) SELECT 'remembered', toUnixTimestamp64Milli(now64(3)) + 1000"
    )
    world.updater.update()
    agree(world, events)


def test_rows_of_an_attempt_that_was_told_of_before_are_not_added(store: Store) -> None:
    world, events = World(store), random_events(25, 60, SINCE, 500)
    world.change([], events[:40], exactly=True)
    world.change(events[:40], events, exactly=True)
    # As by who lost the turn in the midst of a note, or by a proxy that sends it once more.
    again = f"SELECT DISTINCT attempt_id, [toDateTime({SINCE}, 'UTC')], true FROM raw_events"
    world.updater.update(Changed("SELECT arrayJoin({some:Array(UInt32)}), 'told'", {"some": [SINCE]}, again))
    agree(world, events)


def test_a_number_is_above_those_that_attempts_were_told_of_by(store: Store) -> None:
    world, events = World(store), random_events(26, 60, SINCE, 500)
    world.change([], events[:40], exactly=True)
    world.stitched.put(events)
    # By somebody whose clock was ahead, and who died before the blocks were noted.
    ahead = f"INSERT INTO told_attempts (attempt_id, minutes, came, batch) SELECT *, 1000000 FROM ({TOLD})"
    world.client.command(ahead)
    world.updater.update(touched(events[:40], events))
    world.updater.update(Changed("SELECT arrayJoin({some:Array(UInt32)}), 'told'", {"some": [SINCE]}))
    agree(world, events)


def test_a_statement_that_reaches_the_store_twice_counts_nothing_twice(store: Store) -> None:
    world, events = World(store), random_events(16, 90, SINCE, 1_200)
    world.database.twice = True
    for before, after in ((0, 40), (40, 60), (60, 90)):
        world.change(events[:before], events[:after], exactly=True)
    agree(world, events)


@pytest.mark.parametrize("note", [touched, concerned])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14, 15, 17, 19, 21])
def test_what_a_death_left_half_done_is_finished_by_the_next(store: Store, stop: int, note: Note) -> None:
    world, events = World(store), random_events(7, 60, SINCE, DAY)
    world.change([], events[:40])
    world.stitched.put(events)
    world.database.until = stop
    with pytest.raises(StoreUnavailable):
        world.updater.update(note(events[:40], events))
    world.database.until = None
    # Who could not note it all notes it again, and of attempts that are known by then all is read.
    world.updater.update(touched(events[:40], events) if stop == 1 else None)
    agree(world, events)


def test_a_clock_set_back_after_a_death_leaves_no_state_of_the_dead(store: Store) -> None:
    # In order of time and all alike, so that no first session becomes another.
    alike = {"country": "DE", "device_type": "mobile", "is_bot": False}
    events = [Event(**{**vars(one), **alike}) for one in random_events(7, 60, SINCE, 1_200)]
    events.sort(key=lambda one: one.order)
    world, clock = World(store), [1_000]
    world.updater = MetricsUpdater(world.database, world.series, PLAN, lambda: clock[0], world.doubts)
    world.change([], events[:40])
    world.stitched.put(events[:50])
    world.updater.note(touched(events[:40], events[:50]))
    clock[0], world.database.until = 10**9, 10
    with pytest.raises(StoreUnavailable):
        world.updater.merge()
    clock[0], world.database.until = 500, None
    world.change(events[:50], events)
    agree(world, events)


def test_what_is_done_is_forgotten_and_numbers_go_on_from_there(store: Store) -> None:
    world, events = World(store), random_events(7, 60, SINCE, DAY)
    for many in range(10, 60, 10):
        world.change(events[: many - 10], events[:many])
        world.updater.tidy(keep=3)
    for table in ("metric_touched", "metric_progress"):
        assert world.client.command(f"SELECT count() FROM {table}") <= 3
    world.change(events[:50], events)
    agree(world, events)


SHIPPED = definitions.SHIPPED.read_text(encoding="utf-8")
OTHERS = {
    "another name": ("metrics.page_views]", "metrics.views]"),
    "fewer dimensions of a set": (
        'property = "visitor"\nintervals = ["1m", "1h", "1d"]\ndimensions = ["platform", "event_type", ',
        'property = "visitor"\nintervals = ["1m", "1h", "1d"]\ndimensions = ["platform"] # [',
    ),
    "another condition": ('filter = { event_type = "error" }', 'filter = { event_type = "click" }'),
    "fewer counts": ('[metrics.all_events]\n', '[metrics.all_events]\nfilter = { country = "DE" }\n'),
    "another form": ('property = "duration_seconds"\n', 'property = "duration_seconds"\nsignificant_digits = 6\n'),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_measured_by_other_definitions_is_measured_anew_where_something_changes_and_by_a_rebuild(
    store: Store, other: str
) -> None:
    text = SHIPPED.replace(*OTHERS[other])
    assert text != SHIPPED
    world, events = World(store), random_events(17, 120, SINCE, 1_500)
    world.measured_by(Plan(definitions.parse(text)))
    world.change([], events[:80], exactly=True)
    world.measured_by(PLAN)
    world.change(events[:80], events[:100], exactly=True)
    world.change(events[:100], events, exactly=True)
    world.rebuild(SINCE, SINCE + DAY)
    # What no definition names any more nobody asks for.
    found = {key: value for key, value in world.values().items() if key[0] != "views"}
    assert found == pytest.approx(metrics(events, sessions_of(events)), rel=1e-12)


def test_a_block_that_other_definitions_had_measured_is_read_and_not_added_to(store: Store) -> None:
    world, events = World(store), random_events(19, 80, SINCE, 500)
    world.measured_by(Plan(definitions.parse(SHIPPED.replace(*OTHERS["another condition"]))))
    world.change([], events[:40], exactly=True)
    world.measured_by(PLAN)
    # Elsewhere first, so that the block is touched only once the new ones hold already.
    apart = random_events(20, 10, SINCE + 7_200, 500)
    world.change(events[:40], [*events[:40], *apart], exactly=True)
    world.change([*events[:40], *apart], [*events, *apart], exactly=True)
    world.rebuild(SINCE + 7_200, SINCE + 10_800)
    found = {key: value for key, value in world.values().items() if key[:2] == ("errors_share", "1m")}
    wanted = metrics([*events, *apart], sessions_of([*events, *apart]))
    assert found == pytest.approx({key: value for key, value in wanted.items() if key[:2] == ("errors_share", "1m")})


def test_of_a_filter_that_asks_whether_there_is_something_a_group_that_vanished_is_overwritten(store: Store) -> None:
    text = (
        '[metrics.seen]\nabout = "Seen."\nkind = "count"\nsource = "visits"\n'
        'filter = { page_path = { exists = true } }\nintervals = ["1m", "1h", "1d"]\n'
    )
    world, events = World(store), random_events(21, 30, SINCE, 500)
    world.measured_by(Plan(definitions.parse(text)))
    world.change([], events, exactly=True)
    assert world.values()
    world.change(events, [], exactly=True)
    assert world.values() == {}


def test_while_the_series_store_is_away_the_batch_waits_and_loses_nothing(store: Store) -> None:
    world, events = World(store), random_events(9, 80, SINCE, DAY)
    world.series.available = False
    with pytest.raises(StoreUnavailable):
        world.change([], events[:50])
    with pytest.raises(StoreUnavailable):
        world.change(events[:50], events)
    world.series.available = True
    assert world.updater.update().exported > 0
    agree(world, events)


def test_what_somebody_told_who_had_lost_the_turn_meanwhile_is_told_once_more(store: Store) -> None:
    world, events = World(store), random_events(18, 60, SINCE, 1_200)
    world.change([], events[:40])

    def meanwhile() -> None:
        world.change(events[:50], events)
        agree(world, events)

    world.stitched.put(events[:50])
    halted = Halted(world.series, meanwhile)
    with pytest.raises(LeaseLost):
        MetricsUpdater(world.database, halted, PLAN, world.clock, world.doubts).update(
            touched(events[:40], events[:50])
        )
    with pytest.raises(AssertionError):
        agree(world, events)
    assert world.updater.export() > 0
    agree(world, events)
    assert (world.updater.export(), world.doubts.known()) == (0, [])
    # What was judged meanwhile was judged by it.
    [doubt] = Doubts("anomalies", world.database, world.database).known()
    assert SINCE * SECOND - DAY * SECOND < doubt.after <= SINCE * SECOND


def test_test_events_are_kept_apart(store: Store) -> None:
    world = World(store)
    events = [Event(**{**vars(one), "environment": "test"}) for one in random_events(11, 20, SINCE, DAY)]
    world.stitched.put(events)
    world.rebuild(SINCE, SINCE + DAY)
    assert {dict(tags)["environment"] for _, _, _, tags in world.values()} == {"test"}
    agree(world, events)


def test_names_beyond_the_first_are_counted_together_and_a_rebuild_says_the_same(store: Store) -> None:
    world = World(store)
    events = [
        Event(**{**vars(one), "event_name": f"name {number % 60}" if number > 9 else "often"})
        for number, one in enumerate(random_events(13, 300, SINCE, DAY))
    ]
    world.change([], events[:40])
    world.change(events[:40], events)
    volumes = {key: value for key, value in world.values().items() if key[:2] == ("quality.volume", "1d")}
    named = {dict(key[3])["event_name"]: value for key, value in volumes.items() if "event_name" in dict(key[3])}
    assert len(named) == MOST_NAMES + 1
    assert named["often"] == 10
    assert sum(named.values()) == len(events)
    again = world.rebuild(SINCE, SINCE + DAY)
    assert (again.groups, again.exported) == (0, 0)


OWN = """
[metrics.pages]
about = "An operator's own."
kind = "unique"
source = "visits"
property = "page_path"
intervals = ["1h"]
dimensions = ["country+platform", "platform"]

[metrics.names]
about = "An operator's own."
kind = "unique"
source = "visits"
property = "event_name"
filter = { country = { exists = true } }
intervals = ["1m", "1d"]
dimensions = ["country"]
minute_dimensions = ["platform"]

[metrics.seen]
about = "An operator's own."
kind = "count"
source = "visits"
intervals = ["1m", "1h"]
dimensions = ["device_type"]
minute_dimensions = ["platform", "country+platform"]

[metrics.typical_lag]
about = "An operator's own."
kind = "quantile"
source = "events"
property = "ingestion_lag_ms"
level = 0.5
intervals = ["1m", "1d"]
dimensions = ["platform"]
"""


@pytest.mark.parametrize("at_once", [True, False])
def test_definitions_of_an_operator_are_measured_by_their_own_groupings(store: Store, at_once: bool) -> None:
    world, events = World(store), random_events(21, 150, SINCE, 3 * 3_600)
    world.measured_by(Plan(definitions.parse(OWN)))
    if at_once:
        world.stitched.put(events)
        world.rebuild(SINCE, SINCE + DAY)
    else:
        for before, after in ((0, 60), (60, 110), (110, 150)):
            world.change(events[:before], events[:after], exactly=True)
    people = [one for one in events if not one.is_bot]

    def by(interval: str, *cuts: str) -> dict[str, Sequence[str]]:
        return {interval: ("", *cuts)}

    def distinct(name: str) -> Callable[[list[Event]], float]:
        return lambda some: len({getattr(one, name) for one in some})

    def middle(some: list[Event]) -> float:
        return sorted(one.lag_ms for one in some)[(len(some) + 1) // 2 - 1]

    known = [one for one in people if one.country]
    told = [
        ("pages", people, distinct("page_path"), by("1h", "country+platform", "platform")),
        ("names", known, distinct("event_name"), by("1m", "platform") | by("1d", "country")),
        ("seen", people, len, by("1m", "platform", "country+platform") | by("1h", "device_type")),
        ("typical_lag", people, middle, by("1m") | by("1d", "platform")),
    ]
    wanted = {key: value for one in told for key, value in plainly(*one)}
    assert world.values() == pytest.approx(wanted)


def plainly(
    name: str, events: Sequence[Event], value: Callable[[list[Event]], float], cuts: dict[str, Sequence[str]]
) -> Iterator[tuple[Any, float]]:
    """The values of a metric, one group after the other."""
    for interval, cut in ((interval, cut) for interval, some in cuts.items() for cut in some):
        groups: dict[Any, list[Event]] = {}
        for event in events:
            start = event.at - event.at % ({"1m": 60, "1h": 3_600, "1d": DAY}[interval] * SECOND)
            tags = {one: getattr(event, one) or "unknown" for one in cut.split("+") if one}
            group = (start, tuple(sorted({"environment": event.environment, **tags}.items())))
            groups.setdefault(group, []).append(event)
        yield from (((name, interval, *group), value(some)) for group, some in groups.items())
