"""Which groupings need rows, and which are made of the groups of others."""

from functions.measure.metrics.groups import carried

BY = [("platform",), ("country",), ("key_id", "platform")]


def test_a_longer_window_and_everything_are_made_of_finer_groups() -> None:
    cuts = [("1m", ()), ("1m", BY[0]), ("10m", ()), ("10m", BY[1]), ("10m", BY[0])]
    assert carried(cuts) == {2: [2, 1, 5, 3], 4: [4]}


def test_one_dimension_of_several_is_made_of_rows() -> None:
    assert carried([("10m", ()), ("10m", BY[2]), ("10m", BY[0])]) == {2: [2, 1], 3: [3]}


def test_a_minute_is_never_made_of_ten() -> None:
    assert carried([("1m", ()), ("10m", BY[1])]) == {1: [1], 2: [2]}
    assert carried([("1m", BY[0]), ("10m", BY[1]), ("10m", ())]) == {1: [1, 3], 2: [2]}


def test_every_grouping_is_made_once() -> None:
    cuts = [(step, cut) for step in ("1m", "10m") for cut in [(), *BY]]
    made = [place for places in carried(cuts).values() for place in places]
    assert sorted(made) == list(range(1, len(cuts) + 1))
