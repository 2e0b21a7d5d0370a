"""The methods that were compared. Each tells how strange a window is, from those before it alone.

The last two need statsmodels and river, which are no part of Weir: they are left out where they are not installed.
"""

import importlib.util
import math
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.anomalies.series import DAY, HOUR, Series
from functions.measure.anomalies import Point, judge

Method = Callable[[Series], list[float]]
_WEEK = 7


def ensemble(series: Series) -> list[float]:
    """What Weir uses: several robust forecasters, the best of late judges."""
    return [found.score for found in judge([Point(*one) for one in zip(series.ts, series.values, strict=True)])]


def seasonal_mad(series: Series) -> list[float]:
    """Distance from the median of the same time of the week (of the day, in the first week), in MADs."""
    weeks: dict[int, deque[float]] = {}
    days: dict[int, deque[float]] = {}
    errors: deque[float] = deque(maxlen=500)
    found = []
    step = max(series.interval, HOUR) if series.interval < DAY else DAY
    for ts, value in zip(series.ts, series.values, strict=True):
        week = weeks.setdefault(ts % (_WEEK * DAY) // step, deque(maxlen=48))
        day = days.setdefault(ts % DAY // step, deque(maxlen=168))
        past = week if len(week) > 2 else day
        error = value - median(past) if past else 0.0
        spread = 1.4826 * median(abs(one) for one in errors) if len(errors) > 20 else 0.0
        found.append(abs(error) / max(spread, 1e-3 * abs(value) + 0.5) if spread or len(errors) > 20 else 0.0)
        week.append(value)
        day.append(value)
        errors.append(error)
    return found


def holt_winters(series: Series) -> list[float]:
    """Level and course of the day by exponential smoothing; the error in its own smoothed size."""
    slots = max(1, DAY // series.interval)
    course, level, size, found = [0.0] * slots, series.values[0], 0.0, []
    for place, value in enumerate(series.values):
        slot = series.ts[place] // series.interval % slots
        error = value - level - course[slot]
        floor = 1e-3 * abs(level) + 0.5
        found.append(abs(error) / max(1.25 * size, floor) if place > slots else 0.0)
        bounded = max(-4 * (size + floor), min(4 * (size + floor), error)) if place > slots else error
        level += 0.1 * bounded
        course[slot] += 0.2 * bounded
        size += 0.03 * (abs(bounded) - size)
    return found


def stl(series: Series) -> list[float]:
    """STL over the last four weeks, anew each day; its last course and trend are what is expected of the next day."""
    import numpy as np
    from statsmodels.tsa.seasonal import STL

    period = max(DAY // series.interval, 1) if series.interval < DAY else _WEEK
    values = np.array(series.values)
    found = [0.0] * len(values)
    chunk = max(period, _WEEK)
    for start in range(max(3 * period, int(len(values) * 0.1)), len(values), chunk):
        past = values[max(0, start - 28 * period) : start]
        fitted = STL(past, period=max(period, 2), robust=False).fit()
        spread = max(1.4826 * float(np.median(np.abs(fitted.resid))), 1e-3 * abs(float(past.mean())) + 0.5)
        for place in range(start, min(start + chunk, len(values))):
            season = fitted.seasonal[len(past) - period + (place - start) % period]
            found[place] = abs(values[place] - fitted.trend[-1] - season) / spread
    return found


def half_space_trees(series: Series) -> list[float]:
    """River's half-space trees over value, change and time of the day, scaled to what was seen."""
    from river import anomaly, preprocessing

    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1)
    scaler = preprocessing.MinMaxScaler()
    before, found = series.values[0], []
    for ts, value in zip(series.ts, series.values, strict=True):
        turn = ts % DAY / DAY * math.tau
        features = {"value": value, "change": value - before, "sin": math.sin(turn), "cos": math.cos(turn)}
        scaler.learn_one(features)
        scaled = scaler.transform_one(features)
        found.append(trees.score_one(scaled))
        trees.learn_one(scaled)
        before = value
    return found


def methods() -> dict[str, tuple[Method, Sequence[float]]]:
    """By name: the method, and the thresholds to choose from on the series for tuning."""
    deviations = [3, 4, 5, 6, 8, 10, 14, 20]
    known: dict[str, tuple[Method, Sequence[float]]] = {
        "ensemble of robust forecasters (Weir)": (ensemble, [0.5]),
        "seasonal median and MAD": (seasonal_mad, deviations),
        "Holt-Winters, bounded": (holt_winters, deviations),
    }
    if importlib.util.find_spec("statsmodels"):
        known["STL, each day anew"] = (stl, deviations)
    if importlib.util.find_spec("river"):
        known["half-space trees"] = (half_space_trees, [0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995])
    return known
