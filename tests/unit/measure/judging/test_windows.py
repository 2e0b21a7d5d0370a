"""Which windows a series has, and by which past they are judged."""

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.measure.anomalies import Detector, Point
from functions.measure.judging.replay import Replays
from functions.measure.judging.windows import REACHES, points

HOUR = REACHES["1h"]
START = 1_767_571_200_000_000_000


def course(*hours: int, until: int, counted: bool = True) -> list[tuple[int, float | None]]:
    values = {START + hour * HOUR.length: 7.0 for hour in hours}
    found = points(values, HOUR, START + until * HOUR.length, counted)
    return [((one.ts - START) // HOUR.length, one.value) for one in found]


def test_what_is_counted_is_0_where_there_is_nothing() -> None:
    assert course(0, 3, until=6) == [(0, 7.0), (1, 0.0), (2, 0.0), (3, 7.0), (4, 0.0), (5, 0.0)]


def test_a_share_has_no_value_where_there_is_nothing() -> None:
    assert course(0, 3, until=6, counted=False) == [(0, 7.0), (3, 7.0)]


def test_a_series_ends_after_a_time_of_silence_and_begins_again_with_a_value() -> None:
    found = course(0, 1_000, until=2_000)
    assert [hour for hour, _ in found] == [*range(HOUR.silence + 1), *range(1_000, 1_001 + HOUR.silence)]


@given(st.sampled_from(list(REACHES.values())), st.integers(0, 2**61))
def test_a_period_holds_its_windows_and_has_one_before_it(reach: object, ts: int) -> None:
    assert isinstance(reach, type(HOUR))
    start = reach.start_of_period(ts)
    assert start <= ts < reach.end_of_period(ts)
    assert start - reach.past_of(ts) == reach.end_of_period(ts) - start == reach.period * reach.length


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 40), min_size=60, max_size=90), st.data())
def test_what_is_remembered_changes_no_judgement(values: list[int], data: st.DataObject) -> None:
    course = [Point(START + n * HOUR.length, float(value)) for n, value in enumerate(values)]
    replays = Replays()
    for _ in range(4):
        until = data.draw(st.integers(1, len(course)))
        if data.draw(st.booleans()):
            changed = data.draw(st.integers(0, until - 1))
            course[changed] = Point(course[changed].ts, float(data.draw(st.integers(0, 900))))
        since = course[data.draw(st.integers(0, until - 1))].ts
        detector = Detector(HOUR.length)
        wanted = [one for one in map(detector.observe, course[:until]) if one.ts >= since]
        assert replays.judge("a", course[:until], since, HOUR.length) == wanted
