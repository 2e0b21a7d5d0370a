"""The same events in whatever way they come: the same sessions, metrics and funnels, those of plain computations."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions.measure.identities import Identities
from functions.measure.service import Range
from functions.shared import wiring
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from schemas.rows import Delivery
from tests.support.deliveries import NOW, delivery
from tests.support.whole import Whole, running

pytestmark = pytest.mark.engines
SECOND = 1_000_000_000
# Apart by the limits of the rule, to the nanosecond.
MOMENTS = (0, 1_799 * SECOND, 1_800 * SECOND, 1_800 * SECOND + 1, 3_600 * SECOND, 86_399 * SECOND, 86_400 * SECOND - 1,
    86_400 * SECOND, 86_401 * SECOND, 3 * 86_400 * SECOND)  # fmt: skip
DEVICES = ("d1", "d2", "d'\\\t\n\0 3")
PLATFORMS = ("web", "ios", "тв 'x\\\n\0=,\"")


@pytest.fixture(scope="module")
def module_whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with running(tmp_path_factory.mktemp("whole")) as whole:
        yield whole


@pytest.fixture
def whole(module_whole: Whole) -> Whole:
    module_whole.clear()
    return module_whole


def sender(chance: random.Random) -> dict[str, Any]:
    """Who sends an event: users, devices that they share, client sessions, or nobody who says."""
    user, device = chance.choice(("ann", "bob", "eve")), chance.choice(DEVICES)
    kind = chance.randrange(10)
    if kind < 4:
        return {"anonymous_id": device}
    if kind < 6:
        return {"anonymous_id": device, "user_ref": user}
    if kind < 8:
        return {"user_ref": user}
    if kind < 9:
        return {"session_id": str(uuid.UUID(int=chance.randrange(1, 3)))}
    return {"ip": chance.choice(("192.0.2.1", "192.0.2.2"))}


def event(chance: random.Random, at: int, **given: Any) -> Delivery:
    kind = chance.choice(("page_view", "page_view", "click", "purchase", "error"))
    referrer = chance.choice(("", "", "https://example.org/?q=1"))
    facts: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "timestamp": at,
        "processed_at": NOW + chance.choice((0, 7, 999, 1_234, 56_789)) * 1_000_000,
        "event_type": kind,
        "event_name": chance.choice(("a", "b", "c")),
        "page_path": chance.choice(("", "/", "/ä'b")) if kind == "page_view" else "",
        "platform": chance.choice(PLATFORMS),
        "geo_country": chance.choice(("", "DE", "FR")),
        "device_type": chance.choice(("", "mobile")),
        "browser_name": chance.choice(("", "Firefox")),
        "os_name": chance.choice(("", "Linux")),
        "campaign": chance.choice(("", "spring")),
        "is_bot": chance.random() < 0.1,
        "key_id": chance.choice(("live", "live", "test")),
        "properties": chance.choice(('{"amount":9.99}', '{"amount":1e3}', '{"amount":-3}', "{}")),
        "context": f'{{"page":{{"referrer":"{referrer}"}}}}' if referrer else "{}",
    }
    return delivery(**{**facts, **(given or sender(chance))})


def events(seed: int, count: int, since: int = NOW - 4 * 86_400 * SECOND) -> list[Delivery]:
    """Events around the limits of the rule, with ties, and one device that never pauses for two days."""
    chance = random.Random(seed)
    found = [
        event(chance, since + chance.choice(MOMENTS) + chance.choice((0, 0, 1)) + chance.randrange(2) * 1_000 * SECOND)
        for _ in range(count)
    ]
    return found + [event(chance, since + n * 1_700 * SECOND, anonymous_id="d2") for n in range(105)]


def with_rivals(chance: random.Random, first: list[Delivery]) -> list[Delivery]:
    """The events, and other deliveries of some: worse and better, failed, elsewhere in time, by somebody else."""
    arrivals = list(first)
    for one in chance.sample(first, len(first) // 4):
        row, known = one.raw, {"event_id": one.raw.event_id}
        away = row.timestamp - chance.choice((0, 1, 40 * SECOND, 5_000 * SECOND))
        arrivals.append(event(chance, away, **known, **sender(chance), received_at=NOW + chance.choice((-5, 5))))
        if chance.random() < 0.5:
            arrivals.append(delivery(**known, timestamp=away, failed=True, received_at=NOW - 9, key_id="live"))
    for n in range(8):
        known = {"event_id": str(uuid.UUID(int=n + 1)), "key_id": chance.choice(("live", "test"))}
        arrivals.append(delivery(**known, failed=True, timestamp=NOW - n * 7_000 * SECOND))
    return arrivals


ARRIVALS = with_rivals(random.Random(42), events(7, 50))


def arrive(whole: Whole, arrivals: list[Delivery], chance: random.Random, parts: int) -> None:
    """Let deliveries come in some parts, with a run after each."""
    cuts = sorted(chance.sample(range(len(arrivals)), parts - 1))
    for since, until in zip([0, *cuts], [*cuts, len(arrivals)], strict=True):
        if since < until:
            whole.batches.record(arrivals[since:until])
        whole.measure()


@pytest.mark.parametrize("way", range(20))
def test_the_same_events_in_any_of_twenty_ways_are_the_same_sessions_metrics_and_funnels(
    whole: Whole, way: int
) -> None:
    chance = random.Random(way)
    arrivals = ARRIVALS + chance.sample(ARRIVALS, 25)
    chance.shuffle(arrivals)
    arrive(whole, arrivals, chance, 1 + way % 4)
    whole.check(ARRIVALS)
    assert whole.batches.rows("SELECT count() AS n FROM touched") == [{"n": 0}]


def test_events_without_rivals_that_come_in_parts_are_counted_once_whenever_their_attempts_tell(whole: Whole) -> None:
    chance = random.Random(3)
    arrivals = events(11, 60)
    chance.shuffle(arrivals)
    client = whole.batches.client
    client.command("CREATE OR REPLACE TABLE words ENGINE = Memory AS SELECT * FROM touched")
    for number, since in enumerate(range(0, len(arrivals), 11)):
        whole.batches.record(arrivals[since : since + 11])
        if number % 4 == 1:
            # Its rows are there, but it tells late: only after others have been measured in the same minutes.
            client.command("INSERT INTO words SELECT * FROM touched")
            client.command("TRUNCATE TABLE touched")
        elif number % 4 == 3:
            # What somebody told late and what was told already: the first is told twice in one run, and then once more.
            client.command("INSERT INTO touched SELECT * FROM words")
            client.command("INSERT INTO touched SELECT * FROM words")
        whole.measure()
    client.command("INSERT INTO touched SELECT * FROM words")
    whole.measure()
    whole.check(arrivals)
    client.command("DROP TABLE words")


def test_what_only_comes_is_added_and_its_block_not_read_again(whole: Whole) -> None:
    moment = NOW - 86_400 * SECOND
    arrivals = [event(random.Random(n), moment + n * SECOND, anonymous_id="d1", key_id="live") for n in range(30)]
    whole.batches.record(arrivals[:20])
    whole.measure()
    # Nobody told of that, so it would not be missed unless somebody read it.
    for table in ("raw_events", "processed_events"):
        whole.batches.client.command(f"DELETE FROM {table} WHERE true")
    whole.batches.record(arrivals[20:])
    whole.measure()
    whole.check(arrivals)


@pytest.mark.parametrize("swept", [False, True])
def test_rows_of_an_attempt_that_died_untold_count_once_their_messages_came_again(whole: Whole, swept: bool) -> None:
    chance = random.Random(5)
    arrivals = events(12, 40)
    chance.shuffle(arrivals)
    whole.batches.record(arrivals[:20])
    whole.measure()
    whole.batches.record(arrivals)
    whole.batches.client.command("TRUNCATE TABLE touched")
    # Its messages come again one by one, and are recorded by others; what is there stays the dead one's.
    for since, until in ((20, 60), (60, len(arrivals)), (0, 20)):
        whole.batches.record(arrivals[since:until])
        done = wiring.measure_service().run(600, 60, sweep=swept)
        assert done.state == "done"
    whole.check(arrivals)


def test_a_better_delivery_beside_new_events_is_counted_once_though_a_sweep_told_of_it_first(whole: Whole) -> None:
    worse, *others = events(13, 10)
    whole.batches.record([worse])
    whole.measure()
    better = worse._replace(raw=worse.raw._replace(received_at=worse.raw.received_at - 9))
    whole.batches.record([better, *others])
    whole.batches.client.command("TRUNCATE TABLE touched")
    assert wiring.measure_service().run(600, 60, sweep=True).state == "done"
    whole.batches.record([better, *others])
    whole.measure()
    whole.check([better, *others])


def test_sessions_and_metrics_follow_merges_and_an_undo_restores_exactly_what_was(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    before = whole.rows()
    identities = Identities(ClickHouseBatch(whole.batches.settings), time.time_ns)
    names = sorted({visitor for visitor, _ in whole.batches.members().values()})
    pairs = [(names[0], names[-1]), (names[1], names[0])]
    merges = [identities.merge(*pair)[0] for pair in pairs]
    whole.measure()
    whole.check(ARRIVALS, pairs)
    joined = set(whole.told_sessions())
    identities.undo(merges[0].merge_id)
    whole.measure()
    whole.check(ARRIVALS, pairs[1:])
    identities.undo(merges[1].merge_id)
    whole.measure()
    assert whole.rows() == before
    assert joined - set(whole.told_sessions()) <= set(whole.told_sessions("superseded"))


MOVED = [{"anonymous_id": "d1", "user_ref": "ann"}, {"anonymous_id": "d7"}]


@pytest.mark.parametrize("statement", range(2, 7))
@pytest.mark.parametrize("moved", MOVED)
def test_what_a_dead_run_wrote_of_an_event_goes_when_a_better_delivery_is_elsewhere(
    whole: Whole, statement: int, moved: dict[str, Any]
) -> None:
    chance = random.Random(statement)
    arrivals = [event(chance, NOW - n * 50 * SECOND, anonymous_id="d1") for n in range(3)]
    whole.batches.record(arrivals)
    whole.measure()
    lost = event(chance, NOW - 40_000 * SECOND, **moved, received_at=NOW + 5)
    whole.batches.record([lost])
    whole.die(statement)
    better = event(chance, NOW - 90_000 * SECOND, user_ref="eve", event_id=lost.raw.event_id, received_at=NOW - 5)
    whole.batches.record([better])
    whole.measure()
    whole.check([*arrivals, lost, better])


def test_a_rebuild_makes_again_all_that_was_lost(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    before = whole.rows()
    for table in ("session_rows", "session_event_rows", "identity_links", "metric_states", "visitor_first_rows"):
        whole.batches.client.command(f"TRUNCATE TABLE {table}")
    for table in ("metrics", "sessions"):
        whole.series.query(f"TRUNCATE TABLE {table}")
    assert whole.run(rebuild=Range(None, None)).state == "done"
    assert whole.rows() == before
    assert whole.run(rebuild=Range(NOW // SECOND - 200_000, NOW // SECOND - 100_000)).state == "done"
    assert whole.rows() == before


def test_a_rebuild_mends_values_of_a_range_where_no_session_is_another(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    before = whole.rows()
    for table in ("metric_states", "visitor_first_rows"):
        whole.batches.client.command(f"TRUNCATE TABLE {table}")
    whole.series.query("TRUNCATE TABLE metrics")
    assert whole.run(rebuild=Range(None, None)).state == "done"
    assert whole.rows() == before


def forget_upgrade(whole: Whole) -> None:
    """As if an older version had been at work until now."""
    forget = "ALTER TABLE measure_progress DELETE WHERE stage IN ('numbered', 'numbers')"
    whole.batches.client.command(forget, settings={"mutations_sync": 2})


@pytest.mark.parametrize("sessions_too", [False, True])
def test_after_an_upgrade_days_of_which_events_were_let_go_stay_as_they_were(whole: Whole, sessions_too: bool) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    before = (whole.told_sessions(), whole.values())
    newest = NOW // SECOND // 86_400
    # In the midst of a day, so that of the day something is left.
    until = (newest - 2) * 86_400 + 40_000
    whole.batches.client.command("TRUNCATE TABLE visitor_numbers")
    for table in ("processed_events", "raw_events", *(["session_event_rows"] if sessions_too else [])):
        gone = f"ALTER TABLE {table} DELETE WHERE timestamp < toDateTime({until}, 'UTC')"
        whole.batches.client.command(gone, settings={"mutations_sync": 2})
    forget_upgrade(whole)
    whole.measure()
    assert (whole.told_sessions(), whole.values()) == before


def test_what_an_older_version_kept_in_another_form_is_computed_anew_once(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    before = whole.rows()
    for table, change in (
        ("visitor_numbers", "DELETE"),
        ("session_event_rows", "UPDATE visitor_number = 0"),
        ("session_rows", "UPDATE visitor_number = 0, settled_at = 9223372036854775807"),
        ("metric_states", "UPDATE digest = 1, different = 0, values = [], levels = arrayMap(one -> 0., levels)"),
    ):
        whole.batches.client.command(f"ALTER TABLE {table} {change} WHERE true", settings={"mutations_sync": 2})
    assert whole.rows() != before
    forget_upgrade(whole)
    whole.measure()
    assert whole.rows() == before
    without = "SELECT count() AS n FROM session_event_rows FINAL WHERE visitor_number = 0"
    assert whole.batches.rows(without) == [{"n": 0}]
    assert "steps" not in whole.run().counts


def test_a_rebuild_corrects_the_first_session_of_a_device_that_logged_in_beyond_the_horizon(whole: Whole) -> None:
    chance = random.Random(4)
    same: dict[str, Any] = {"anonymous_id": "d1", "key_id": "live", "is_bot": False}
    old = event(chance, NOW - 40 * 86_400 * SECOND, **same)
    login = event(chance, NOW, user_ref="ann", **same)
    for one in (old, login):
        whole.batches.record([one])
        whole.measure()
    assert whole.run(rebuild=Range(old.raw.timestamp // SECOND, None)).state == "done"
    whole.check([old, login])


def test_a_first_session_that_is_found_to_be_of_the_other_environment_is_new_there(whole: Whole) -> None:
    chance = random.Random(5)
    same: dict[str, Any] = {"user_ref": "ann", "is_bot": False}
    first, second = (event(chance, NOW - days * 86_400 * SECOND, key_id="test", **same) for days in (2, 1))
    whole.batches.record([first, second])
    whole.measure()
    better = event(chance, first.raw.timestamp, key_id="live", event_id=first.raw.event_id, **same)
    whole.batches.record([better])
    whole.measure()
    whole.check([first, second, better])


DAYS_30 = 30 * 86_400 * SECOND
MINUTE, BLOCK = 60 * SECOND, 600 * SECOND


@pytest.mark.parametrize(("before_newest", "followed"), [(DAYS_30, True), (DAYS_30 + 1, False)])
def test_metrics_follow_late_events_and_logins_as_far_as_the_horizon_and_a_rebuild_goes_further(
    whole: Whole, before_newest: int, followed: bool
) -> None:
    chance = random.Random(3)
    known = [event(chance, NOW - n * BLOCK, anonymous_id="d1", key_id="live", is_bot=False) for n in range(3)]
    late_at = NOW - before_newest
    old = [event(chance, late_at, anonymous_id="d2", key_id="live", is_bot=False)]
    whole.batches.record(known)
    whole.measure()
    whole.batches.record(old)
    whole.measure()
    assert whole.values().get(("events", "1m", late_at // MINUTE * MINUTE, (("environment", "live"),))) == (
        1.0 if followed else None
    )
    login = [event(chance, NOW, anonymous_id="d2", user_ref="ann", key_id="live", is_bot=False)]
    whole.batches.record(login)
    whole.measure()
    # Sessions follow however long ago it was.
    assert len({visitor for visitor, _ in whole.batches.members().values()}) == 2
    if followed:
        whole.check([*known, *old, *login])
    assert whole.run(rebuild=Range(late_at // SECOND, None)).state == "done"
    whole.check([*known, *old, *login])
