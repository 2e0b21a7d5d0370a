"""Sessions that go on while the batches run: adding to them makes what all of their events do, on the real engine."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.measure.rebuilding import plan_rebuild
from infra.clickhouse.migrate import migrations, render
from schemas.rows import Delivery, ProcessedRow
from tests.support.batches import Batches, Died, Mortal, expected
from tests.support.clickhouse import ClickHouse
from tests.support.deliveries import NOW, delivery
from tests.support.reference_sessions import NIL, Session, sessions

pytestmark = pytest.mark.engines
SECOND = 1_000_000_000
NEVER = 2**63 - 1
LOW, HIGH = "00000000-0000-4000-8000-000000000001", "ffffffff-ffff-4fff-bfff-fffffffffffe"
FIELDS = ("geo_country", "device_type", "browser_name", "os_name", "campaign")


@pytest.fixture(scope="module")
def module_batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    server = ClickHouse(tmp_path_factory.mktemp("progress") / "data")
    server.start()
    yield Batches(server.url, "progress")
    server.stop()


@pytest.fixture
def batches(module_batches: Batches) -> Batches:
    module_batches.clear()
    return module_batches


def event(seconds: float, nanoseconds: int = 0, **facts: Any) -> Delivery:
    """A click that tells nothing but what is given, of one device."""
    at = NOW + int(seconds * 1_000) * SECOND // 1_000 + nanoseconds
    return delivery(**{"timestamp": at, "event_type": "click", "anonymous_id": "d1", "key_id": "live_shop", **facts})


def view(seconds: float, page: str, nanoseconds: int = 0, **facts: Any) -> Delivery:
    return event(seconds, nanoseconds, event_type="page_view", page_path=page, **facts)


def client(number: int) -> str:
    return str(uuid.UUID(int=number))


def settled_at(session: Session) -> int:
    """The time of the last event that decided what the session tells of its first ones."""
    events = session.events
    firsts = [
        next((one.timestamp for one in events if getattr(one, name)), 0)
        for name in (*FIELDS, "platform")  # A platform is never empty: the first event has one.
    ]
    firsts.append(next((one.timestamp for one in events if one.event_type == "page_view"), 0))
    firsts.append(next((one.timestamp for one in events if "referrer" in one.context_text), 0))
    for name in ("platform", "session_id"):
        told = dict.fromkeys(value for one in events if (value := getattr(one, name)) != NIL)
        firsts += [next(one.timestamp for one in events if getattr(one, name) == value) for value in told]
    return max(firsts)


def viewed_at(session: Session) -> int:
    return max((one.timestamp for one in session.events if one.event_type == "page_view"), default=0)


def counted(deliveries: Sequence[Delivery]) -> list[ProcessedRow]:
    best: dict[str, Delivery] = {}
    for one in deliveries:
        best[one.raw.event_id] = min(best.get(one.raw.event_id, one), one, key=lambda each: each.rank)
    return [one.processed for one in best.values() if one.processed is not None]


def stored(batches: Batches) -> dict[str, dict[str, Any]]:
    """Sessions with all that is stored of them, but for when that was."""
    rows = batches.rows("SELECT * EXCEPT (computed_at, version) FROM session_rows FINAL WHERE state = 'live'")
    return {str(row["session_id"]): row for row in rows}


def check(batches: Batches, deliveries: Sequence[Delivery]) -> None:
    """All sessions are those of the reference, and those that were there before any is added to so as well."""
    found = sessions(counted(deliveries))
    facts, members = expected(found)
    assert batches.members() == members
    assert batches.sessions() == facts
    told = {key: (row["settled_at"], row["viewed_at"]) for key, row in stored(batches).items()}
    assert told == {one.session_id: (settled_at(one), viewed_at(one)) for one in found}


def check_rebuilt(batches: Batches) -> None:
    """Made of all of their events anew they are the same, to the last column."""
    before = stored(batches)
    plan_rebuild(batches.database(str(uuid.uuid4())), None, None)
    batches.stitch()
    assert stored(batches) == before


def count(batches: Batches, table: str, where: str = "true") -> int:
    return int(batches.rows(f"SELECT count() AS n FROM {table} WHERE {where}")[0]["n"])


def tick(batches: Batches, so_far: list[Delivery], *block: Delivery) -> int:
    """Let these come, in a step of their own. Returns how many events were read again for it."""
    so_far += block
    batches.record(block)
    [_] = batches.stitch()
    check(batches, so_far)
    return count(batches, "stitch_kept")


def run(batches: Batches, *blocks: Sequence[Delivery]) -> list[int]:
    """The same of a step after the other; at last all is made anew."""
    so_far: list[Delivery] = []
    found = [tick(batches, so_far, *block) for block in blocks]
    check_rebuilt(batches)
    return found


def test_of_a_visitor_amid_a_session_no_event_is_read_again(batches: Batches) -> None:
    chance = random.Random(1)
    blocks = []
    for minute in range(12):
        # Each minute has events of before the end of what the last one had.
        moments = [minute * 60 + chance.randrange(-25, 60) if minute else n for n in range(12)]
        blocks.append([view(at, f"/{at}", chance.randrange(1, SECOND)) for at in moments])
    so_far: list[Delivery] = []
    within = 0
    for block in blocks:
        assert tick(batches, so_far, *block) == 0
        within += count(batches, "stitch_blocks", "block < last")
    assert within == len(blocks)
    assert len(stored(batches)) == 1
    check_rebuilt(batches)


@pytest.mark.parametrize(("event_id", "apart", "read"), [(HIGH, -1, 3), (LOW, 0, 3), (HIGH, 0, 3), (LOW, 1, 0)])
def test_an_event_is_added_after_the_last_one_that_decided_something(
    batches: Batches, event_id: str, apart: int, read: int
) -> None:
    stood = [event(0), event(100, platform="ios"), event(200)]
    late = event(100, apart, platform="android", session_id=client(1), campaign="spring", event_id=event_id)
    assert run(batches, stood, [late], [event(300)]) == [0, read, 0]


def test_a_field_that_was_empty_is_decided_by_what_came_and_then_stands(batches: Batches) -> None:
    told = [dict.fromkeys(FIELDS, word) for word in ("one", "two", "three")]
    referrers = [f'{{"page":{{"referrer":"https://{n}.example"}}}}' for n in range(3)]
    stood = [view(0, "/"), event(1_000)]
    blocks = [
        [event(500, context=referrers[0], **told[0])],
        # After the one that decides now, and before it, with what it told and with nothing.
        [event(600, context=referrers[1], **told[1])],
        [event(400, context=referrers[2], **told[2])],
        [event(300)],
        [event(401, platform="web")],
    ]
    assert run(batches, stood, *blocks) == [0, 0, 0, 4, 5, 0]


@pytest.mark.parametrize("field", [*FIELDS, "platform", "session_id", "context", "page"])
def test_each_field_alone_settles_a_session(batches: Batches, field: str) -> None:
    def telling(seconds: int, word: int) -> Delivery:
        facts: dict[str, Any] = {
            "session_id": {"session_id": client(word)},
            "context": {"context": f'{{"page":{{"referrer":"https://{word}.example"}}}}'},
            "page": {"event_type": "page_view", "page_path": f"/{word}"},
        }.get(field, {field: f"word {word}"})
        return event(seconds, **facts)

    stood: list[Delivery] = []
    blocks = [event(0), event(200)], [telling(100, 1)], [telling(50, 2)], [telling(150, 2)]
    # Nothing decides it at first, then what came does.
    assert [tick(batches, stood, *block) for block in blocks] == [0, 0, 3, 0]


def test_an_earlier_page_view_becomes_the_entry_page(batches: Batches) -> None:
    stood = [event(0), view(100, "/a"), event(200), view(300, "/b")]
    assert run(batches, stood, [view(50, "/first")], [view(150, "/c"), view(350, "/last")]) == [0, 4, 0]


def test_an_event_before_the_first_one_is_not_added(batches: Batches) -> None:
    assert run(batches, [view(0, "/"), view(100, "/a")], [view(-1, "/first")], [view(0, "/same", event_id=LOW)])[1] == 2


@pytest.mark.parametrize(("event_id", "apart", "read"), [(HIGH, -1, 0), (LOW, 0, 3), (HIGH, 0, 3), (LOW, 1, 0)])
def test_the_exit_page_is_that_of_the_last_page_view(batches: Batches, event_id: str, apart: int, read: int) -> None:
    stood = [view(0, "/"), view(100, "/a", event_id="7fffffff-ffff-4fff-bfff-ffffffffffff"), event(200)]
    late = view(100, "/b", apart, event_id=event_id)
    assert run(batches, stood, [late], [event(100), event(150)], [view(99, "/c")], [view(300, "/d")]) == [
        0, read, 0, 0, 0,
    ]  # fmt: skip


def test_a_session_without_a_page_view_gets_its_first_within_it(batches: Batches) -> None:
    assert run(batches, [event(0), event(200)], [view(100, "/a")], [view(150, "/b")], [view(50, "/c")]) == [0, 0, 0, 4]


def test_platforms_and_client_sessions_are_in_the_order_of_their_first_event(batches: Batches) -> None:
    stood = [event(0, session_id=client(9)), event(200)]
    assert run(
        batches,
        stood,
        [event(150, session_id=client(3)), event(100, session_id=client(5), platform="ios")],
        [event(120, session_id=client(5), platform="ios")],
        [event(160, session_id=client(1)), event(170, platform="android")],
        [event(140, session_id=client(2))],
    ) == [0, 0, 4, 0, 7]


def test_what_came_makes_a_session_too_long_and_a_pause_ends_it(batches: Batches) -> None:
    day = 86_400
    stood = [view(n * 1_700, "/") for n in range(50)]
    late = [view(80_000, "/in"), event(day, -1), event(day), event(day + 1), view(day + 1_802, "/after")]
    further = [view(day + 900, "/in"), event(day + 1_700)]
    further += [event(n) for n in range(day + 3_000, 2 * day + 5_000, 1_500)]
    assert run(batches, stood, late, further, [event(2 * day + 10_000)], [event(2 * day + 10_000, -1)])[:2] == [0, 0]


def test_a_session_as_long_as_it_may_be_is_cut_by_the_first_that_came_too_late(batches: Batches) -> None:
    stood = [event(n * 1_800) for n in range(48)]
    late = [event(84_700, 1), event(86_399), event(86_400, platform="ios"), event(86_400), event(86_400, 1)]
    assert run(batches, stood, late, [event(86_399, 5), event(90_000)]) == [0, 0, 53]
    assert len(stored(batches)) == 3


def test_a_late_event_within_an_earlier_session_is_added_to_that_one(batches: Batches) -> None:
    stood = [view(0, "/"), view(1_000, "/a"), view(5_000, "/b"), view(6_000, "/c"), view(10_000, "/d")]
    # In one, in each, in the last two with some that go on behind them, and so that another begins.
    blocks = [
        [view(500, "/e")],
        [event(500), view(5_500, "/f", platform="ios"), event(10_001)],
        [event(5_600, 1, campaign="spring"), event(10_100), view(11_000, "/g")],
        [event(999), event(5_600, 2), event(20_000), view(20_001, "/h")],
        [event(10_999), event(20_002)],
    ]
    assert run(batches, stood, *blocks) == [0, 0, 0, 0, 0, 0]
    assert len(stored(batches)) == 4


@pytest.mark.parametrize(
    ("late", "read"),
    [
        # At its start, at what decided its first ones, behind these, at its end, behind that, and in the pause.
        ([event(0, event_id=HIGH)], True),
        ([event(100, event_id=HIGH)], True),
        ([event(100, 1)], False),
        ([event(1_000)], False),
        ([event(1_000, 1)], True),
        ([event(2_700)], True),
        # At its last page view, a nanosecond from it, and where it is a session by itself.
        ([view(500, "/late")], True),
        ([view(500, "/late", 1)], False),
        ([event(-10_000)], False),
        # One that has to be read makes all of the visitor be.
        ([event(600), event(5_500), event(50)], True),
    ],
)
def test_to_which_place_in_an_earlier_session_events_are_added(
    batches: Batches, late: list[Delivery], read: bool
) -> None:
    earlier = [event(0), event(100, platform="ios"), view(100, "/"), view(500, "/a"), event(1_000)]
    found = run(batches, [*earlier, view(5_000, "/b"), event(6_000)], late, [event(6_001)])
    assert [one > 0 for one in found] == [False, read, False]


def test_what_fits_is_told_apart_by_visitor_in_one_step(batches: Batches) -> None:
    def of(number: int, *seconds: float) -> list[Delivery]:
        return [event(at, anonymous_id=f"d{number}") for at in seconds]

    stood = [one for number in (1, 2, 3) for one in of(number, 0, 1_000, 5_000, 6_000)]
    # Within an earlier one, there and in a pause, behind all, and new. Of the second visitor alone events are read.
    late = [*of(1, 500), *of(2, 2_000, 500), *of(3, 6_100), *of(4, 500)]
    more = [*of(1, 600, 5_500), *of(2, 2_100), *of(3, 500, 6_200), *of(4, 501)]
    assert run(batches, stood, late, more) == [0, 2, 4]


def test_in_both_environments_of_a_name_earlier_sessions_are_added_to(batches: Batches) -> None:
    live, test = {"key_id": "live_shop"}, {"key_id": "test_shop"}
    stood = [event(at, **live) for at in (0, 1_000, 5_000, 6_000)]
    stood += [event(at, **test) for at in (0, 1_000, 2_900, 4_000, 9_000)]
    # A pause of the one is within a session of the other.
    late = [event(500, **live), event(5_500, **live), event(500, **test), event(3_500, **test)]
    more = [event(500, 1, **live), event(3_600, **test), event(9_001, **test)]
    assert run(batches, stood, late, more, [event(3_500, **live), event(3_700, **test)]) == [0, 0, 0, 3]


def test_a_view_at_the_time_of_the_last_one_of_the_second_of_two_sessions_is_looked_at(batches: Batches) -> None:
    stood = [view(0, "/"), view(1_000, "/a"), view(5_000, "/"), view(6_000, "/b"), event(6_500), event(20_000)]
    assert run(batches, stood, [event(500), view(6_000, "/late", event_id=HIGH)], [view(5_500, "/c")]) == [0, 5, 0]


def test_of_who_never_pauses_nothing_is_read_again_for_what_came_late(batches: Batches) -> None:
    stood = [event(n * 1_500) for n in range(180)]
    late = [event(10_000, platform="ios"), event(90_000), view(180_000, "/"), event(180 * 1_500)]
    # The last of the first session, what is behind it, and the first of the second.
    edges = [event(85_500, 1)], [event(86_399)], [event(87_000, event_id=LOW)]
    found = run(batches, stood, late, [event(10_000, 1), event(259_000), event(271_000)], *edges)
    assert found[:3] == [0, 0, 0]
    assert min(found[3:]) > 0
    assert len(stored(batches)) == 4


def test_a_name_of_both_environments_is_added_to_in_each(batches: Batches) -> None:
    live, test = {"key_id": "live_shop"}, {"key_id": "test_shop"}
    stood = [view(at, "/", **key) for key in (live, test) for at in (0, 100)] + [event(200, platform="ios", **test)]
    # What is settled in one of them is not in the other.
    assert run(
        batches,
        stood,
        [event(50, **live)],
        [event(150, **test)],
        [event(150, **live), event(250, **test)],
        [event(210, **test), event(60, platform="ios", **live)],
    ) == [0, 0, 3, 0, 0]


def test_a_login_within_a_session_moves_it(batches: Batches) -> None:
    stood = [view(0, "/"), view(100, "/a"), view(200, "/b")]
    login = event(150, user_ref="ann")
    assert run(batches, stood, [login], [event(160)], [event(170, user_ref="ann")], [event(180, user_ref="bob")])[
        2:4
    ] == [0, 0]


def test_who_logs_in_may_have_a_session_already(batches: Batches) -> None:
    stood = [view(0, "/"), view(100, "/a"), view(50, "/b", anonymous_id="", user_ref="ann")]
    assert run(batches, stood, [event(75, user_ref="ann")], [event(90)])[2] == 0


def test_what_a_better_delivery_changed_is_known_of_the_session_though_it_tells_the_same(batches: Batches) -> None:
    so_far: list[Delivery] = []
    moved = event(100, platform="ios")
    tick(batches, so_far, event(0), moved, event(200))
    again = {"event_id": moved.raw.event_id, "platform": "ios", "received_at": NOW - 1}
    tick(batches, so_far, event(150, **again))
    assert tick(batches, so_far, event(120, platform="android")) == 3
    [session] = batches.sessions().values()
    assert session["platforms"] == ["web", "android", "ios"]
    check_rebuilt(batches)


@pytest.mark.parametrize("statement", range(2, 7))
def test_after_a_step_that_died_no_session_is_believed(batches: Batches, statement: int) -> None:
    so_far: list[Delivery] = []
    tick(batches, so_far, view(-9_000, "/"), view(-8_000, "/a"), view(0, "/"), view(100, "/a"))
    late = [view(50, "/b"), event(60, platform="ios"), view(-8_500, "/c")]
    batches.record(late)
    so_far += late
    with suppress(Died):
        batches.stitch(around=lambda database: Mortal(database, statement, after=False), lease_seconds=2.0)
    more = [view(70, "/c"), event(80, campaign="spring"), event(-8_400, platform="ios")]
    batches.record(more)
    so_far += more
    batches.stitch()
    check(batches, so_far)
    assert tick(batches, so_far, event(90), event(-8_300)) == 0
    check_rebuilt(batches)


def test_sessions_of_before_the_upgrade_are_not_believed_until_they_are_made_anew(batches: Batches) -> None:
    so_far = [view(-9_000, "/"), event(-8_000), view(0, "/"), view(100, "/a"), event(200)]
    batches.record(so_far)
    batches.stitch()
    batches.client.command("ALTER TABLE session_rows DROP COLUMN settled_at, DROP COLUMN viewed_at")
    [upgrade] = [text for name, text in migrations() if name == "0026_session_settled"]
    for _ in range(2):
        for statement in render(upgrade):
            batches.client.command(statement)

    def step(one: Delivery) -> tuple[int, int]:
        so_far.append(one)
        batches.record([one])
        batches.stitch()
        facts, _ = expected(sessions(counted(so_far)))
        assert batches.sessions() == facts
        _, row = sorted(stored(batches).values(), key=lambda one: one["ended_at"])
        return count(batches, "stitch_kept"), row["settled_at"]

    # Behind all that was there it goes on as before, and is still not told of what was.
    assert step(event(300)) == (0, NEVER)
    assert step(view(310, "/b")) == (0, NEVER)
    assert step(view(250, "/c")) == (5, NOW)
    assert step(event(260)) == (0, NOW)
    # In the earlier one, which nobody made of its events yet.
    assert step(event(-8_500)) == (2, NOW)
    assert step(event(-8_400)) == (0, NOW)
    check_rebuilt(batches)


def busy(chance: random.Random, at: int, visitor: int, **fixed: Any) -> Delivery:
    """An event that seldom tells anything, so that it is often decided late; times meet."""

    def seldom(*words: str) -> str:
        return chance.choice(words) if chance.random() < 0.25 else ""

    facts: dict[str, Any] = {"key_id": chance.choice(("live_shop", "live_shop", "live_shop", "test_shop"))}
    facts |= {name: seldom("one", "two") for name in FIELDS} | fixed
    if referrer := seldom("https://a.example", "https://b.example"):
        facts["context"] = f'{{"page":{{"referrer":"{referrer}"}}}}'
    kind = chance.choice(("page_view", "click", "click"))
    if visitor == 1 and chance.random() < 0.03:
        facts["user_ref"] = chance.choice(("ann", "bob"))
    return delivery(
        timestamp=NOW + at * SECOND + chance.choice((0, 0, 1)),
        event_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        event_type=kind,
        page_path=chance.choice(("", "/", "/a")) if kind == "page_view" else "",
        platform=seldom("ios", "android") or "web",
        session_id=client(int(seldom("1", "2") or 0)),
        is_bot=chance.random() < 0.02,
        anonymous_id=f"d{visitor}",
        **facts,
    )


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**32),
    st.sampled_from((10, 300, 1_750, 9_000)),
    st.lists(st.integers(1, 9), min_size=2, max_size=12),
)
def test_after_every_tick_sessions_are_those_of_all_that_came(
    batches: Batches, seed: int, pace: int, sizes: list[int]
) -> None:
    batches.clear()
    chance = random.Random(seed)
    so_far: list[Delivery] = []
    for number, size in enumerate(sizes):
        # What comes late is mostly of the tick before, and sometimes of any.
        late = [chance.choice((0, 0, 0, 1, 1, 2, number)) for _ in range(size)]
        moments = [max(0, number - ticks) * pace + chance.randrange(0, pace, max(1, pace // 20)) for ticks in late]
        tick(batches, so_far, *(busy(chance, at, chance.randrange(3)) for at in moments))
    check_rebuilt(batches)


@pytest.mark.parametrize("seed", range(3))
def test_events_of_busy_visitors_in_any_order_over_many_ticks(batches: Batches, seed: int) -> None:
    chance = random.Random(seed)
    # The last is of one visitor who never pauses, for longer than a session may be.
    count_of, visitors, pace = 60, (2, 2, 1)[seed], (20, 300, 880)[seed]
    key = {"key_id": "live_shop"} if visitors == 1 else {}
    # In order but for some that come later than others; and some twice.
    moments = sorted(range(count_of), key=lambda n: n + chance.choices((0, 2, 4, 9, 40), (50, 25, 15, 5, 1))[0])
    arrivals = [busy(chance, n * pace + chance.randrange(pace), chance.randrange(visitors), **key) for n in moments]
    so_far: list[Delivery] = []
    within = 0
    while arrivals:
        size = chance.randrange(1, 9)
        block, arrivals = arrivals[:size], arrivals[size:]
        tick(batches, so_far, *block, *chance.sample(so_far, min(len(so_far), chance.choice((0, 0, 1)))))
        within += count(
            batches,
            f"stitch_standing AS s INNER JOIN {_FOLLOWERS} AS f ON {_APART} = f.visitor AND {_START} = f.lo",
            "first <= toUnixTimestamp64Nano(ended_at)",
        )
    # So it is not a test of what is made of all events alone.
    assert within
    check_rebuilt(batches)


# Of each part the first event that came.
_FOLLOWERS = (
    "(SELECT r.visitor AS visitor, r.lo AS lo, min(toUnixTimestamp64Nano(timestamp)) AS first FROM stitch_changes AS e"
    " ASOF INNER JOIN (SELECT * FROM stitch_reach WHERE follows) AS r"
    " ON e.visitor = r.visitor AND toUnixTimestamp64Nano(e.timestamp) >= r.lo GROUP BY visitor, lo)"
)
_APART = "if(s.environment = 'test', concat('t', s.visitor), s.visitor)"
_START = "toUnixTimestamp64Nano(s.started_at)"
