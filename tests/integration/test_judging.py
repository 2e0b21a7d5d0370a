"""Series judged in the tick: the same whenever and however often it runs, whatever was late, gone, away or dead."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import pytest

from functions.measure.anomalies import Point, judge
from functions.measure.anomalies.detector import WARM_UP
from functions.measure.doubts import Doubts
from functions.measure.judging.judge import MOST_SERIES, Judge, Judged
from functions.measure.judging.progress import Progress
from functions.measure.judging.replay import Replays
from functions.measure.lease import LeaseLost
from functions.measure.metrics.definitions import parse
from functions.measure.metrics.export import group_of
from functions.measure.metrics.plan import Plan
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.domain.series import METRICS, MetricRow
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import SeriesStore
from functions.shared.settings import StoreSettings
from tests.support.halting import Halted
from tests.support.measured import Interrupted
from tests.support.serve_store import Store

pytestmark = pytest.mark.engines

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
START = 1_767_571_200 * SECOND  # a Monday
PLAN = Plan(
    parse(
        """
[metrics.visits]
about = "Counted."
kind = "count"
source = "visits"
intervals = ["1h"]
dimensions = ["platform"]
anomalies = ["1h"]
anomaly_dimensions = ["platform"]

[metrics.lag]
about = "Not counted."
kind = "quantile"
level = 0.5
source = "events"
property = "ingestion_lag_ms"
intervals = ["1h"]
anomalies = ["1h"]
"""
    )
)
Series = Mapping[int, float]


class World:
    """Metrics as the batches would have left them, and what judges them. ``now`` is what its clock says."""

    def __init__(self, store: Store) -> None:
        self.client = store.client
        for table in ("metric_states", "metric_progress", "judged", "export_doubts"):
            store.client.command(f"TRUNCATE TABLE {table}")
        self.database = Interrupted(StoreSettings(clickhouse_url=store.url, clickhouse_database=store.database))
        self.series = MemorySeries()
        self.replays = Replays()
        self.doubts = Doubts("anomalies", self.database, self.database)
        self.now = START
        self._batch = count(1)

    def put(self, values: Mapping[int, float | None], platform: str = "", name: str = "visits") -> None:
        """Let windows have values, or None any more: exported, and told to have changed."""
        batch, cut = next(self._batch), "platform" if platform else ""
        group = group_of("live", cut, platform)
        rows = [
            MetricRow(
                ts, name, "1h", "live", None, platform or None, None, None, None, value, group.text, group.digest, "{}",
                "gone" if value is None else "live", 1,
            )
            for ts, value in values.items()
        ]  # fmt: skip
        self.series.write(METRICS, rows)
        place = PLAN.places[name]
        columns = ["step", "window", "source", "slot", "environment", "cut", "tags", "gone", "version"]
        states: list[list[Any]] = [
            ["1h", ts // SECOND, place.source, place.slot, "live", cut, platform, value is None, batch]
            for ts, value in values.items()
        ]
        self.client.insert("metric_states", states, columns)
        self.client.insert("metric_progress", [["exported", batch]], ["stage", "batch"])

    def judge(
        self,
        more: Callable[[], bool] = lambda: True,
        replays: Replays | None = None,
        again_seconds: int = 0,
        series: SeriesStore | None = None,
    ) -> Judged:
        progress, series, replays = Progress(self.database), series or self.series, replays or self.replays
        judge = Judge(progress, series, PLAN, replays, lambda: self.now, 120, again_seconds, self.doubts)
        return judge.run(more)

    def told(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """What readers find."""
        sql = (
            "SELECT metric_name, interval, tags, ts, value, expected, lower, upper, score, severity, run_length,"
            " is_anomaly FROM anomalies WHERE state = 'live'"
        )
        return {tuple(row[:4]): tuple(row[4:]) for row in self.series.query(sql)}

    def odd(self, platform: str = "") -> list[int]:
        """Which hours since the start are anomalies."""
        tags = group_of("live", "platform" if platform else "", platform).text
        return sorted((key[3] - START) // HOUR for key, row in self.told().items() if key[2] == tags and row[-1])


def traffic(seed: int, hours: int, since: int = 0) -> dict[int, float]:
    """Hourly counts with a day in them."""
    chance = random.Random(seed)
    found = {}
    for hour in range(hours):
        level = 200 + 120 * (1 if 8 <= hour % 24 < 20 else 0)
        found[START + (since + hour) * HOUR] = float(round(chance.gauss(level, 9)))
    return found


def test_a_spike_a_dip_and_silence_are_told_with_what_was_expected(store: Store) -> None:
    world = World(store)
    values = traffic(1, 14 * 24)
    values[START + 250 * HOUR] = 900.0
    values[START + 280 * HOUR] = 20.0
    for hour in (300, 301, 302):
        del values[START + hour * HOUR]
    world.put(values)
    world.now = max(values) + 2 * HOUR
    done = world.judge()
    assert done.finished
    assert {250, 280, 300, 301, 302} <= set(world.odd())
    # On the first day nothing is known of the day.
    assert len([hour for hour in world.odd() if hour >= 24]) <= 8
    [spike] = [row for key, row in world.told().items() if key[3] == START + 250 * HOUR]
    value, expected, lower, upper, score, severity, run, _ = spike
    assert (value, severity, run) == (900.0, "high", 1)
    assert lower < expected < upper < value
    assert abs(expected - 320) < 30
    assert score > 0.97
    [silent] = [row for key, row in world.told().items() if key[3] == START + 302 * HOUR]
    assert (silent[0], silent[6]) == (0.0, 3)


def test_a_window_is_judged_when_it_is_complete_and_settled(store: Store) -> None:
    world = World(store)
    world.put(traffic(1, 50))
    world.now = START + 50 * HOUR + 119 * SECOND
    world.judge()
    assert max(key[3] for key in world.told()) == START + 48 * HOUR
    world.now += SECOND
    world.judge()
    assert max(key[3] for key in world.told()) == START + 49 * HOUR


@pytest.mark.parametrize("seed", range(2))
def test_it_does_not_depend_on_how_many_ticks_there_were(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    hours = 800
    whole = {"": traffic(seed, hours), "web": traffic(seed + 9, hours), "tv": traffic(seed + 5, 100, 600)}
    for values in whole.values():
        for hour in chance.sample(range(hours), 8):
            values[START + hour * HOUR] = chance.choice((0.0, 700.0, 2_000.0))
    often = World(store)
    late: list[tuple[str, int, float]] = []
    at = 0
    while at < hours:
        to = min(hours, at + chance.choice((1, 9, 60, 300)))
        for platform, values in whole.items():
            some = {ts: value for ts, value in values.items() if START + at * HOUR <= ts < START + to * HOUR}
            for ts in [ts for ts in some if chance.random() < 0.03]:
                late.append((platform, ts, some[ts]))
                some[ts] = some[ts] // 2
            often.put(some, platform)
        often.now = START + to * HOUR + 130 * SECOND
        often.judge(replays=chance.choice((often.replays, Replays())))
        for _ in range(min(len(late), 2)):
            platform, ts, value = late.pop(chance.randrange(len(late)))
            often.put({ts: value}, platform)
        at = to
    for platform, ts, value in late:
        often.put({ts: value}, platform)
    often.judge()
    told = often.told()
    assert often.judge() == Judged(0, 0, True)
    once = World(store)
    for platform, values in whole.items():
        once.put(values, platform)
    once.now = often.now
    once.judge()
    assert told == once.told()


def test_it_is_what_the_detector_says_of_the_series(store: Store) -> None:
    world = World(store)
    values = traffic(3, 400)
    world.put(values)
    world.now = max(values) + 2 * HOUR
    world.judge()
    wanted = [one for one in judge([Point(*one) for one in values.items()], HOUR) if one.expected is not None]
    found = {key[3]: row for key, row in world.told().items()}
    assert [found[one.ts][:5] for one in wanted] == [one[1:6] for one in wanted]
    assert len(found) == len(wanted)


def test_a_late_event_makes_a_window_be_judged_again(store: Store) -> None:
    world = World(store)
    values = traffic(2, 14 * 24)
    whole, dip = values[START + 300 * HOUR], 30.0
    world.put({**values, START + 300 * HOUR: dip})
    world.now = max(values) + 2 * HOUR
    world.judge()
    assert 300 in world.odd()
    world.put({START + 300 * HOUR: whole})
    assert world.judge().windows > 0
    assert 300 not in world.odd()


def test_what_changed_waits_a_while_but_not_longer_than_for_the_next_window(store: Store) -> None:
    world = World(store)
    values = traffic(2, 200)
    world.put({**values, START + 150 * HOUR: 20.0})
    world.now = START + 200 * HOUR + 200 * SECOND
    world.judge(again_seconds=600)
    world.put({START + 150 * HOUR: values[START + 150 * HOUR]})
    world.now += 599 * SECOND
    assert world.judge(again_seconds=600) == Judged(0, 0, True)
    assert 150 in world.odd()
    world.now += SECOND
    world.judge(again_seconds=600)
    assert 150 not in world.odd()
    world.put({START + 150 * HOUR: 20.0})
    world.now = START + 201 * HOUR + 120 * SECOND
    world.judge(again_seconds=9_999)
    assert 150 in world.odd()


def test_a_series_that_vanished_is_overwritten_as_gone(store: Store) -> None:
    world = World(store)
    world.put(traffic(1, 100), "web")
    world.put(traffic(2, 60), "tv")
    world.now = START + 102 * HOUR
    world.judge()
    tv, web = (group_of("live", "platform", name).text for name in ("tv", "web"))
    assert {key[2] for key in world.told()} == {tv, web}
    before = {key: row for key, row in world.told().items() if key[2] == web}
    world.put(dict.fromkeys(traffic(2, 60)), "tv")
    world.judge()
    assert world.told() == before
    gone = world.series.query("SELECT value, is_anomaly FROM anomalies WHERE state = 'gone'")
    assert set(gone) == {(None, False)}


def test_a_share_has_no_windows_where_there_is_none(store: Store) -> None:
    world = World(store)
    values = {ts: value for ts, value in traffic(1, 200).items() if (ts - START) // HOUR % 5}
    world.put(values, name="lag")
    world.now = START + 202 * HOUR
    world.judge()
    assert {key[3] for key in world.told()} <= set(values)


@pytest.mark.parametrize("left", range(2))
def test_what_a_death_left_is_done_by_the_next(store: Store, left: int) -> None:
    world = World(store)
    values = traffic(4, 300)
    world.put({**values, START + 200 * HOUR: 5.0})
    world.now = START + 301 * HOUR
    world.judge()
    world.put({START + 200 * HOUR: values[START + 200 * HOUR]})
    world.database.until = left
    with pytest.raises(StoreUnavailable):
        world.judge()
    world.database.until = None
    world.judge(replays=Replays())
    told = world.told()
    world.client.command("TRUNCATE TABLE judged")
    world.series = _copied(world.series)
    world.judge(replays=Replays())
    assert told == world.told()


def _copied(series: MemorySeries) -> MemorySeries:
    """The same metrics, and nothing judged."""
    copy = MemorySeries()
    copy.write(
        METRICS, [MetricRow._make(row) for row in series.query(f"SELECT {', '.join(METRICS.columns)} FROM metrics")]
    )
    return copy


def test_what_somebody_told_who_had_lost_the_turn_meanwhile_is_judged_once_more(store: Store) -> None:
    world, values = World(store), traffic(11, 400)
    world.put(values)
    world.now = START + 350 * HOUR
    world.judge()

    def meanwhile() -> None:
        world.put({START + 380 * HOUR: 5_000.0})
        world.judge()
        assert 380 in world.odd()

    world.now = START + 400 * HOUR
    with pytest.raises(LeaseLost):
        world.judge(series=Halted(world.series, meanwhile))
    assert 380 not in world.odd()
    world.judge()
    assert 380 in world.odd()
    assert (world.judge().windows, world.doubts.known()) == (0, [])


def test_while_the_series_store_is_away_it_waits(store: Store) -> None:
    world = World(store)
    world.put(traffic(1, 100))
    world.now = START + 102 * HOUR
    world.series.available = False
    with pytest.raises(StoreUnavailable):
        world.judge()
    world.series.available = True
    assert world.judge().windows > 90


def test_years_are_caught_up_in_steps(store: Store) -> None:
    world = World(store)
    years = 400 * 24 * HOUR
    world.put({**traffic(1, 800), **{ts + years: value for ts, value in traffic(2, 800).items()}})
    world.now = START + years + 802 * HOUR
    steps = 0
    while not world.judge(more=iter([True, False] * 3).__next__, replays=Replays()).finished:
        steps += 1
    assert steps > 2
    told = world.told()
    at_once = World(store)
    at_once.put({**traffic(1, 800), **{ts + years: value for ts, value in traffic(2, 800).items()}})
    at_once.now = world.now
    at_once.judge()
    assert told == at_once.told()
    # After a week of silence the series has ended, until it came back.
    assert len(told) == (800 + 7 * 24 - WARM_UP) + (800 + 1 - WARM_UP)


def test_the_end_of_data_of_the_past_is_no_silence_but_that_of_the_present_is(store: Store) -> None:
    for days, silent in ((30, 0), (1, 24)):
        world = World(store)
        world.put(traffic(1, 200))
        world.now = START + (200 + days * 24) * HOUR + 120 * SECOND
        world.judge()
        assert len([key for key in world.told() if key[3] >= START + 200 * HOUR]) == silent


def test_only_so_many_series_of_a_metric_are_judged(store: Store) -> None:
    world = World(store)
    for number in range(MOST_SERIES + 5):
        world.put(traffic(number, 10), f"p{number:03}")
    world.now = START + 12 * HOUR
    world.judge()
    assert len({key[2] for key in world.told()}) == MOST_SERIES
