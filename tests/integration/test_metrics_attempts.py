"""Metrics of events as they came: a row counts once its attempt was told of, and once alone."""

from __future__ import annotations

import pytest

from functions.measure import attempts
from functions.measure.metrics.update import Changed
from tests.support.measured import PLAN, SINCE, TOLD, World, agree, concerned, touched
from tests.support.reference_metrics import metrics
from tests.support.serve_store import Store
from tests.support.stitched import SECOND, random_events, sessions_of

pytestmark = pytest.mark.engines


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
