"""Sessions by the incremental way, on the real engine, against a slow and obvious computation of the same."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.measure.identities import Identities
from functions.measure.rebuilding import plan_upgrade
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from schemas.rows import Delivery, ProcessedRow
from tests.support.batches import Batches, expected
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import NOW, delivery
from tests.support.reference_sessions import sessions

pytestmark = pytest.mark.engines
SECOND = 1_000_000_000
MOMENTS = (0, 1_799, 1_800, 1_801, 3_600, 86_398, 86_399, 86_400, 86_401, 90_000, 172_800, 40 * 86_400)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    server = ClickHouse(tmp_path_factory.mktemp("stitching") / "data")
    server.start()
    yield Batches(server.url, "stitching")
    server.stop()


def someone(chance: random.Random) -> dict[str, Any]:
    """Who sends an event: users, devices that they share, sessions, or nobody who says."""
    user, device = chance.choice(("ann", "bob")), chance.choice(("d1", "d2", "d'\\\t\n\0 3"))
    kind = chance.randrange(10)
    if kind < 3:
        return {"anonymous_id": device}
    if kind < 6:
        return {"anonymous_id": device, "user_ref": user}
    if kind < 8:
        return {"user_ref": user}
    if kind < 9:
        return {"session_id": str(uuid.UUID(int=chance.randrange(1, 3)))}
    return {"ip": chance.choice(("192.0.2.1", "192.0.2.2"))}


def event(chance: random.Random, at: int, **given: Any) -> Delivery:
    facts: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "timestamp": at,
        "event_type": chance.choice(("page_view", "page_view", "click")),
        "page_path": chance.choice(("", "/", "/a")),
        "platform": chance.choice(("web", "ios")),
        "geo_country": chance.choice(("", "DE")),
        "browser_name": chance.choice(("", "Firefox")),
        "campaign": chance.choice(("", "spring")),
        "is_bot": chance.random() < 0.1,
        "session_id": str(uuid.UUID(int=chance.randrange(3))),
        "key_id": chance.choice(("k1", "test_2")),
    }
    return delivery(**{**facts, **(given or someone(chance))})


def events(seed: int, count: int) -> list[Delivery]:
    """Events around the limits of the rule, with ties, and one visitor who never pauses for four days."""
    chance = random.Random(seed)
    found = [
        event(
            chance,
            NOW - chance.choice(MOMENTS) * SECOND - chance.choice((0, 0, 1)) - chance.randrange(3) * 1_000 * SECOND,
        )
        for _ in range(count)
    ]
    return found + [
        event(chance, NOW - place * 1_700 * SECOND, anonymous_id="d1")
        for place in range(0, 200, 3 if count < 30 else 1)
    ]


def counted(deliveries: list[Delivery]) -> list[ProcessedRow]:
    """What counts of them: the best delivery of each event, if it is a valid one."""
    best: dict[str, Delivery] = {}
    for one in deliveries:
        known = best.setdefault(one.raw.event_id, one)
        best[one.raw.event_id] = min(known, one, key=lambda each: each.rank)
    return [one.processed for one in best.values() if one.processed is not None]


def check(batches: Batches, deliveries: list[Delivery], merges: list[tuple[str, str]] | None = None) -> None:
    facts, members = expected(sessions(counted(deliveries), merges or []))
    assert batches.members() == members
    assert batches.sessions() == facts


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_and_the_number_of_arrivals_sessions_are_those_of_the_contract(
    batches: Batches, seed: int
) -> None:
    batches.clear()
    chance = random.Random(seed)
    arrivals = events(7, 60)
    # The same events for all seeds: some twice, some first as failed, or with another timestamp by a later delivery.
    for one in arrivals[:20]:
        row = one.raw
        again = {"event_id": row.event_id, "anonymous_id": "d2", "timestamp": row.timestamp - 5_000 * SECOND}
        arrivals.append(delivery(**again, received_at=NOW + 5))
        arrivals.append(delivery(event_id=row.event_id, failed=True, received_at=NOW - 5))
    every = arrivals + chance.sample(arrivals, 15)
    chance.shuffle(every)
    while every:
        size = chance.randrange(1, 150)
        block, every = every[:size], every[size:]
        batches.record(block)
        if chance.random() < 0.5:
            batches.stitch(step_events=chance.choice((60, 1_000_000)))
    batches.stitch()
    check(batches, arrivals)
    assert batches.stitch() == []
    assert batches.rows("SELECT count() AS n FROM touched") == [{"n": 0}]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_after_every_batch_sessions_are_those_of_what_came_until_then(
    batches: Batches, seed: int, sizes: list[int]
) -> None:
    batches.clear()
    chance = random.Random(seed)
    so_far: list[Delivery] = []
    for size in sizes:
        block = [event(chance, NOW - chance.choice(MOMENTS) * SECOND - chance.choice((0, 1))) for _ in range(size)]
        so_far += block
        batches.record(block)
        batches.stitch()
        check(batches, so_far)


def test_an_event_that_two_attempts_stored_at_this_moment_counts_once(batches: Batches) -> None:
    batches.clear()
    deliveries = events(8, 20)
    batches.record(deliveries)
    batches.client.command("INSERT INTO processed_events SELECT * FROM processed_events LIMIT 7")
    batches.stitch()
    check(batches, deliveries)


def test_an_event_without_an_identity_is_of_no_visitor_and_leaves_the_one_it_was_of(batches: Batches) -> None:
    batches.clear()
    deliveries = events(8, 20)
    batches.record(deliveries)
    batches.stitch()
    chosen = deliveries[3]
    assert chosen.processed is not None
    # As a replay brings it once its person refused.
    nobody = Delivery(
        chosen.raw._replace(generation=1, user_id=None, anonymous_id=""),
        chosen.processed._replace(generation=1, user_id=None, anonymous_id="", identity=""),
    )
    batches.record([nobody])
    batches.stitch()
    check(batches, [one for one in deliveries if one is not chosen])


def test_a_visitor_may_have_a_million_events(batches: Batches) -> None:
    batches.clear()
    count, day = 1_000_000, 86_400
    attempt = "toUUID('00000000-0000-0000-0000-00000000000a')"
    moment = f"fromUnixTimestamp64Nano(toInt64({NOW} - ({count} - number) * {SECOND}), 'UTC')"
    # An event a second without a pause: each session ends after a day.
    batches.client.command(
        "INSERT INTO processed_events (event_id, raw_event_id, received_at, timestamp, processed_at, platform,"
        " event_type, event_name, session_id, anonymous_id, digest, batch_id, attempt_id)"
        f" SELECT generateUUIDv4(number) AS id, id, {moment} AS at, at, at, 'web', 'click', 'Buy',"
        f" toUUID('00000000-0000-0000-0000-000000000000'), 'busy', '', {attempt}, {attempt} FROM numbers({count})"
    )
    batches.client.command(
        "INSERT INTO touched (attempt_id, minutes, event_ids, events)"
        f" SELECT {attempt}, groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))), [], count()"
        " FROM processed_events"
    )
    batches.stitch()
    sizes = sorted(facts["event_count"] for facts in batches.sessions().values())
    assert sizes == [count % day] + [day] * (count // day)
    # One more joins the last of them, and nothing else is another for it.
    batches.record([event(random.Random(1), NOW, anonymous_id="busy")])
    [step] = batches.stitch()
    assert step.sessions <= 2
    assert sum(facts["event_count"] for facts in batches.sessions().values()) == count + 1


def test_a_step_may_be_about_more_months_than_the_store_takes_at_once_by_itself(batches: Batches) -> None:
    batches.clear()
    chance = random.Random(4)
    deliveries = [event(chance, NOW - n * 31 * 86_400 * SECOND, anonymous_id="d1") for n in range(103)]
    batches.record(deliveries)
    batches.stitch()
    check(batches, deliveries)


def test_merges_join_visitors_and_undoing_one_leaves_all_as_it_was(batches: Batches) -> None:
    batches.clear()
    deliveries = events(3, 40)
    batches.record(deliveries)
    batches.stitch()
    before = (batches.sessions(), batches.members())
    identities = Identities(ClickHouseBatch(batches.settings), time.time_ns)
    names = sorted({visitor for visitor, _ in batches.members().values()})
    pairs = [(names[0], names[-1]), (names[1], names[0]), (names[2], "a:never seen '\\\t")]
    merges = [identities.merge(*pair)[0] for pair in pairs]
    assert [one.state for one in merges] == ["pending"] * 3
    batches.stitch()
    check(batches, deliveries, pairs)
    assert {one.state for one in identities.list()} == {"applied"}
    assert identities.merge(*pairs[0][::-1]) == (merges[0]._replace(state="applied"), False)
    late = [event(random.Random(9), NOW - 500 * SECOND) for _ in range(10)]
    batches.record(late)
    batches.stitch()
    check(batches, deliveries + late, pairs)
    assert identities.undo(merges[0].merge_id)[4:] == (True, "pending")
    batches.stitch()
    check(batches, deliveries + late, pairs[1:])
    assert identities.get(merges[0].merge_id)[4:] == (True, "applied")
    assert identities.merge(*pairs[0])[1]
    batches.stitch()
    check(batches, deliveries + late, pairs)
    identities.undo(merges[0].merge_id)
    for merge in merges[1:]:
        identities.undo(merge.merge_id)
    batches.stitch()
    check(batches, deliveries + late)
    assert set(before[0]) & set(batches.sessions())
    assert batches.stitch() == []


# -- Live and test are two worlds -------------------------------------------------------------------------------------


def of(environment: str, at: int, **given: Any) -> Delivery:
    return delivery(timestamp=NOW + at * SECOND, key_id=f"{environment}_shop", **given)


def told(batches: Batches, environment: str) -> dict[str, tuple[str, int]]:
    """The visitor and the number of events of each session of an environment."""
    found = batches.sessions().items()
    return {key: (one["visitor"], one["event_count"]) for key, one in found if one["environment"] == environment}


SENDERS = (
    {"anonymous_id": "d1"},
    {"user_ref": "ann"},
    {"anonymous_id": "d1", "user_ref": "ann"},
    {"session_id": str(uuid.UUID(int=7))},
    {"ip": "192.0.2.1"},
)


@pytest.mark.parametrize("sender", SENDERS, ids=" ".join)
def test_one_visitor_of_both_environments_has_sessions_of_each(batches: Batches, sender: dict[str, str]) -> None:
    batches.clear()
    deliveries = [of(environment, at, **sender) for at in range(3) for environment in ("test", "live")]
    batches.record(deliveries)
    batches.stitch()
    check(batches, deliveries)
    assert [count for _, count in told(batches, "live").values()] == [3]
    assert [count for _, count in told(batches, "test").values()] == [3]


@pytest.mark.parametrize(("own", "other"), [("live", "test"), ("test", "live")])
@pytest.mark.parametrize("late", [False, True])
def test_whatever_the_other_environment_sends_answers_stay_as_they_are(
    batches: Batches, own: str, other: str, late: bool
) -> None:
    batches.clear()
    ours = [of(own, at, anonymous_id="d1") for at in (0, 1_700, 3_600)] + [
        of(own, 5_400, anonymous_id="d1", user_ref="ann"),
        of(own, 7_000, anonymous_id="d1"),
    ]
    # A login before, between and after; what would close a pause, and what would make a session too long.
    theirs = [of(other, at, anonymous_id="d1", user_ref="bob") for at in (-10, 2_000, 6_000)]
    theirs += [of(other, at, anonymous_id="d1") for at in range(0, 90_000, 1_500)]
    theirs += [of(other, 10, user_ref="ann"), of(other, 11, anonymous_id="d2", user_ref="ann")]
    batches.record(ours)
    batches.stitch()
    alone = told(batches, own)
    blocks = [[one] for one in theirs[:6]] + [theirs[6:]] if late else [theirs]
    for block in blocks:
        batches.record(block)
        if late:
            batches.stitch()
    batches.stitch()
    assert told(batches, own) == alone
    check(batches, ours + theirs)


def test_a_login_sent_with_a_test_key_alone_says_nothing_of_the_live_device(batches: Batches) -> None:
    batches.clear()
    deliveries = [of("live", 0, anonymous_id="d1"), of("test", 1, anonymous_id="d1", user_ref="ann")]
    batches.record(deliveries)
    batches.stitch()
    assert [visitor for visitor, _ in told(batches, "live").values()] == ["a:d1"]
    # The link of one environment goes, and that of the other stays.
    deliveries.append(of("live", 2, anonymous_id="d1", user_ref="bob"))
    batches.record(deliveries[-1:])
    better = delivery(event_id=deliveries[1].raw.event_id, key_id="test_shop", received_at=NOW - 1, timestamp=NOW)
    batches.record([better])
    batches.stitch()
    check(batches, [*deliveries, better])
    assert batches.rows("SELECT DISTINCT environment FROM identity_links FINAL") == [{"environment": "live"}]


def test_a_merge_joins_within_each_environment_and_undoing_it_parts_both(batches: Batches) -> None:
    batches.clear()
    deliveries = [
        of(environment, at, **sender)
        for environment in ("live", "test")
        for at, sender in enumerate(({"anonymous_id": "d1"}, {"anonymous_id": "d2"}, {"user_ref": "ann"}))
    ]
    batches.record(deliveries)
    batches.stitch()
    before = batches.sessions()
    identities = Identities(ClickHouseBatch(batches.settings), time.time_ns)
    user = next(one["visitor"] for one in before.values() if one["user_id"])
    pairs = [("a:d1", "a:d2"), ("a:d2", user)]
    merges = [identities.merge(*pair)[0] for pair in pairs]
    batches.stitch()
    check(batches, deliveries, pairs)
    assert list(told(batches, "live").values()) == list(told(batches, "test").values()) == [(user, 3)]
    for merge in merges:
        identities.undo(merge.merge_id)
    batches.stitch()
    check(batches, deliveries)
    assert batches.sessions() == before


def test_a_better_delivery_takes_an_event_from_one_environment_to_the_other(batches: Batches) -> None:
    batches.clear()
    sender = {"anonymous_id": "d1", "user_ref": "ann"}
    stood = [of("test", 0, **sender), of("test", 1, anonymous_id="d1"), of("live", 2, anonymous_id="d1")]
    batches.record(stood)
    batches.stitch()
    check(batches, stood)
    moved = delivery(event_id=stood[0].raw.event_id, timestamp=NOW, key_id="live_shop", received_at=NOW - 1, **sender)
    batches.record([moved])
    batches.stitch()
    check(batches, [*stood, moved])
    assert batches.stitch() == []


def test_what_an_older_version_had_stitched_together_is_parted_once(batches: Batches) -> None:
    batches.clear()
    device, user = {"anonymous_id": "d1"}, {"anonymous_id": "d1", "user_ref": "ann"}
    deliveries = [of("live", 0, **device), of("live", 50, **device), of("live", 90, **device), of("live", 95, **user)]
    deliveries += [of("live", 7 * 86_400, **device), of("live", -7 * 86_400, **device)]
    batches.record(deliveries)
    batches.stitch()
    # As if some of what was stitched so had been of a test key, the link among it.
    test = [one.raw.event_id for one in (deliveries[1], deliveries[3])]
    for table, changes in (
        ("processed_events", "key_id = 'test_shop'"),
        ("session_event_rows", "key_id = 'test_shop', environment = 'test'"),
    ):
        batches.client.command(
            f"ALTER TABLE {table} UPDATE {changes} WHERE toString(event_id) IN {{ids:Array(String)}}",
            parameters={"ids": test},
            settings={"mutations_sync": 1},
        )
    database = batches.database(str(uuid.uuid4()))
    plan_upgrade(database)
    batches.stitch()
    now = [
        one._replace(processed=one.processed._replace(key_id="test_shop"))
        if one.processed and one.raw.event_id in test
        else one
        for one in deliveries
    ]
    check(batches, now)
    plan_upgrade(database)
    assert batches.rows("SELECT count() AS n FROM touched") == [{"n": 0}]
