"""What the detector promises: the past alone, few false alarms, and no alarm for ever."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.anomalies.scoring import Tally, tally
from benchmarks.anomalies.series import all_series, make
from functions.measure.anomalies import Detector, Judgement, Point, judge, judge_new
from functions.measure.anomalies.grid import DAY, HOUR
from functions.measure.anomalies.judgement import score_of

MONDAY = 1_735_516_800_000_000_000


def hourly(values: list[float]) -> list[Point]:
    return [Point(MONDAY + place * HOUR, value) for place, value in enumerate(values)]


def daily_course(days: int, level: float = 100.0) -> list[float]:
    """A course of the day with a little noise, the same each time."""
    rng = random.Random(7)
    return [level * (2 + math.sin(place * math.tau / 24)) * (1 + rng.gauss(0, 0.03)) for place in range(24 * days)]


def flagged(found: list[Judgement]) -> list[int]:
    return [place for place, one in enumerate(found) if one.is_anomaly]


values = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(min_value=0, max_value=5).map(float),
    st.floats(min_value=50, max_value=150),
)
steps = st.one_of(st.just(HOUR), st.integers(min_value=1, max_value=40).map(lambda count: count * HOUR))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(steps, values), min_size=1, max_size=150), st.data())
def test_no_judgement_depends_on_what_follows(rows: list[tuple[int, float | None]], data: st.DataObject) -> None:
    ts, points = MONDAY, []
    for step, value in rows:
        ts += step
        points.append(Point(ts, value))
    cut = data.draw(st.integers(min_value=0, max_value=len(points)))
    whole = judge(points)
    assert judge(points[:cut]) == whole[:cut]
    other = [Point(point.ts, 1e6) for point in points[cut:]]
    assert judge([*points[:cut], *other])[:cut] == whole[:cut]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(steps, values), min_size=2, max_size=80))
def test_a_judgement_is_sane_whatever_comes(rows: list[tuple[int, float | None]]) -> None:
    ts, points = MONDAY, []
    for step, value in rows:
        ts += step
        points.append(Point(ts, value))
    for one in judge(points):
        assert 0.0 <= one.score <= 1.0
        assert one.is_anomaly == (one.score >= 0.5) == (one.run > 0) == (one.severity != "none")


def test_new_windows_are_judged_as_in_the_whole_series() -> None:
    series = make("traffic, 1 h", "spike", 1)
    points = [Point(*one) for one in zip(series.ts, series.values, strict=True)]
    assert judge_new(points[:1000], points[1000:]) == judge(points)[1000:]


def test_the_first_judgement_comes_within_the_first_windows() -> None:
    found = judge(hourly([10.0, 11.0, 10.0, 11.0, 10.0, 10.0]))
    assert [one.expected is not None for one in found] == [False, False, False, True, True, True]


def test_a_spike_in_a_course_of_the_day_is_found_and_nothing_else() -> None:
    series = daily_course(20)
    series[300] *= 3
    assert flagged(judge(hourly(series))) == [300]


def test_a_value_that_is_usual_by_day_is_an_anomaly_at_night() -> None:
    series = daily_course(20)
    series[24 * 15 + 18] = series[24 * 15 + 6]
    assert flagged(judge(hourly(series))) == [24 * 15 + 18]


def test_an_outage_is_told_for_each_of_its_windows_with_a_growing_run() -> None:
    series = daily_course(20)
    series[300:308] = [0.0] * 8
    found = judge(hourly(series))
    assert flagged(found) == list(range(300, 308))
    assert [found[place].run for place in range(300, 308)] == list(range(1, 9))
    assert found[307].severity == "high"


def test_a_new_level_is_learnt_within_a_day_and_the_old_one_known_again() -> None:
    series = daily_course(40)
    series[480:] = [value * 3 for value in series[480:]]
    found = flagged(judge(hourly(series)))
    assert found
    assert found[0] == 480
    assert found[-1] <= 480 + 26


def test_many_anomalies_do_not_move_what_is_expected() -> None:
    clean, spoilt = daily_course(20), daily_course(20)
    for place in range(200, 470, 17):
        spoilt[place] *= 6
    one, other = judge(hourly(clean))[-1], judge(hourly(spoilt))[-1]
    assert one.expected is not None
    assert other.expected == pytest.approx(one.expected, rel=0.1)


def test_missing_windows_raise_no_alarm_when_the_series_comes_back() -> None:
    points = hourly(daily_course(20))
    del points[200:230]
    assert flagged(judge(points)) == []


def test_a_constant_series_is_silent_until_it_changes() -> None:
    assert flagged(judge(hourly([40.0] * 300 + [80.0, 40.0]))) == [300]
    assert flagged(judge(hourly([0.5] * 300))) == []


def test_rare_counts_are_no_anomalies_but_many_at_once_are() -> None:
    series = [1.0 if place % 13 == 0 or place % 29 == 0 else 0.0 for place in range(500)]
    series[450] = 12.0
    assert flagged(judge(hourly(series))) == [450]


def test_a_week_is_learnt() -> None:
    series = daily_course(56)
    for place in range(len(series)):
        if place // 24 % 7 >= 5:
            series[place] *= 0.4
    assert [place for place in flagged(judge(hourly(series))) if place > 24 * 21] == []


def test_a_window_that_is_not_later_is_refused() -> None:
    detector = Detector()
    detector.observe(Point(MONDAY, 1.0))
    with pytest.raises(ValueError, match="later"):
        detector.observe(Point(MONDAY, 2.0))


def test_daily_series_know_their_week() -> None:
    series = [1000.0 * (0.5 if day % 7 >= 5 else 1.0) * (1 + 0.02 * math.sin(day * 1.3)) for day in range(150)]
    series[120] *= 2
    found = judge([Point(MONDAY + day * DAY, value) for day, value in enumerate(series)])
    assert [place for place in flagged(found) if place > 23] == [120]


def test_seeded_faults_are_found_with_few_false_alarms() -> None:
    total = Tally()
    for series in all_series(range(77, 78)):
        if series.name in ("traffic, 1 h", "trending", "sparse counts", "daily"):
            found = judge([Point(*one) for one in zip(series.ts, series.values, strict=True)])
            total = total.plus(tally(series, [one.is_anomaly for one in found]))
    assert total.recall >= 0.85
    assert total.precision >= 0.75


def test_a_deviation_beyond_all_reckoning_is_none() -> None:
    assert score_of(math.nan) == 0.0
