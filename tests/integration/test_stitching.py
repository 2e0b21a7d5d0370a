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


def test_merges_join_visitors_and_undoing_one_leaves_all_as_it_was(batches: Batches) -> None:
    batches.clear()
    deliveries = events(3, 40)
    batches.record(deliveries)
    batches.stitch()
    before = (batches.sessions(), batches.members())
    identities = Identities(ClickHouseBatch(batches.settings), lambda: str(uuid.uuid4()), time.time_ns)
    names = sorted({visitor for visitor, _ in batches.members().values()})
    pairs = [(names[0], names[-1]), (names[1], names[0]), (names[2], "a:never seen '\\\t")]
    merges = [identities.merge(*pair) for pair in pairs]
    batches.stitch()
    check(batches, deliveries, pairs)
    late = [event(random.Random(9), NOW - 500 * SECOND) for _ in range(10)]
    batches.record(late)
    batches.stitch()
    check(batches, deliveries + late, pairs)
    identities.undo(merges[0].merge_id)
    batches.stitch()
    check(batches, deliveries + late, pairs[1:])
    for merge in merges[1:]:
        identities.undo(merge.merge_id)
    batches.stitch()
    check(batches, deliveries + late)
    assert set(before[0]) & set(batches.sessions())
    assert batches.stitch() == []
