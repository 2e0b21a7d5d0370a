"""Metrics over a real store: equal to a plain computation, whatever the order and splits in which changes arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from functions.measure.doubts import Doubts
from functions.measure.lease import LeaseLost
from functions.measure.metrics.names import MOST_NAMES
from functions.measure.metrics.update import Changed, MetricsUpdater
from functions.shared.errors import StoreUnavailable
from tests.support.halting import Halted
from tests.support.measured import DAY, PLAN, SINCE, World, agree, concerned, touched
from tests.support.serve_store import Store
from tests.support.stitched import SECOND, Event, random_events

pytestmark = pytest.mark.engines

Note = Callable[[Sequence[Event], Sequence[Event]], Changed]


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
