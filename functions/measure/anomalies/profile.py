"""The course of a day and of a week, fitted by medians to the days that are past."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.measure.anomalies.grid import DAY, DAYS_OF_WEEK, weekday

Array = NDArray[np.float64]
# What a course of the day rests on: the newest days. The week's needs more of them.
DAYS_FOR_DAY = 14
DAYS_FOR_WEEK = 56
_ROUNDS = 3
_LEAST_COVERAGE = 0.5
_WHOLE = 0.95
_SATURDAY = 5
# Below this many days a slot's median is noise that its neighbours help against.
_FEW_DAYS = 6
_WIDTHS_A_DAY = 48
_LEAST_SHARE = 0.02
_JUMP = 4.0


class Profile(NamedTuple):
    """By day of the week and slot: what is added to the level, or (``ratio``) what it is multiplied with."""

    table: list[list[float]]
    ratio: bool


class Profiles(NamedTuple):
    """What was fitted; None where the past does not allow it."""

    day: Profile | None
    week: Profile | None
    day_ratio: Profile | None
    week_ratio: Profile | None


def fit(ts: Array, values: Array, slots: int) -> Profiles:
    """Fit to a past of times (ns) and values, in order."""
    matrix, days = _matrix(ts, values, slots)
    added = _fit_one(matrix, days, ratio=False)
    several: tuple[Profile | None, Profile | None] = (None, None)
    if values.min() >= 0.0 and slots > 1:
        several = _fit_one(matrix, days, ratio=True)
    return Profiles(added[0], added[1], several[0], several[1])


def _matrix(ts: Array, values: Array, slots: int) -> tuple[Array, list[int]]:
    """Days by slots; NaN where there is no value, the mean where there are several."""
    day = ts // DAY
    first = int(day[0])
    height = int(day[-1]) - first + 1
    place = ((day - first) * slots + (ts % DAY) * slots // DAY).astype(np.int64)
    sums = np.bincount(place, weights=values, minlength=height * slots)
    counts = np.bincount(place, minlength=height * slots)
    with np.errstate(invalid="ignore"):
        matrix = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(height, slots)
    kept = counts.reshape(height, slots).any(axis=1)
    return matrix[kept], [first + int(row) for row in np.flatnonzero(kept)]


def _fit_one(matrix: Array, days: list[int], *, ratio: bool) -> tuple[Profile | None, Profile | None]:
    slots = matrix.shape[1]
    recent = matrix[-DAYS_FOR_DAY:]
    shape = _shape_of_day(recent, ratio) if slots > 1 else np.full(1, 1.0 if ratio else 0.0)
    if shape is None:
        return None, None
    day = Profile([shape.tolist()] * DAYS_OF_WEEK, ratio) if slots > 1 else None
    if len({weekday(one) for one in days}) < DAYS_OF_WEEK or len(days) <= DAYS_OF_WEEK:
        # No week is whole yet: days that were not seen are expected to be like those that were.
        return day, (Profile([shape.tolist()] * DAYS_OF_WEEK, ratio) if slots > 1 else None)
    return day, _week(matrix, days, shape, ratio)


def _shape_of_day(matrix: Array, ratio: bool) -> Array | None:
    """The median day, each day freed of its own level. None when some slots were never seen or ratios are unsafe."""
    levels: Array = np.full(len(matrix), float(np.nanmedian(matrix)))
    covered = np.isfinite(matrix).mean(axis=1)
    if np.isfinite(matrix).any(axis=0).mean() < _WHOLE:
        return None
    shape: Array = np.zeros(matrix.shape[1])
    for _ in range(_ROUNDS):
        if ratio and (levels <= 0.0).any():
            return None
        free = matrix / levels[:, None] if ratio else matrix - levels[:, None]
        shape = _filled(_median(free))
        levels = _levels(matrix, shape, levels, covered, ratio)
    if ratio:
        middle = float(shape.mean())
        return shape / middle if middle > 0.0 else None
    return _smooth(shape - shape.mean(), len(matrix))


def _levels(matrix: Array, shape: Array, before: Array, covered: Array, ratio: bool) -> Array:
    usable = shape > _LEAST_SHARE * max(float(shape.max()), 0.0) if ratio else np.ones(len(shape), dtype=bool)
    if not usable.any():
        return before
    part = matrix[:, usable] / shape[usable] if ratio else matrix - shape
    enough = np.isfinite(part).mean(axis=1) >= _LEAST_COVERAGE
    found = before.copy()
    rows = enough & (covered >= _LEAST_COVERAGE)
    found[rows] = np.nanmedian(part[rows], axis=1)
    return found


def _week(matrix: Array, days: list[int], shape: Array, ratio: bool) -> Profile:
    """Each day of the week: its own level, and its own course as far as there are days to tell."""
    covered = np.isfinite(matrix).mean(axis=1)
    levels = _levels(matrix, shape, np.full(len(matrix), np.nan), covered, ratio)
    if ratio:
        levels[levels <= 0.0] = np.nan
    trend = np.array([_around(levels, row) for row in range(len(levels))])
    off = levels / trend if ratio else levels - trend
    free = matrix / levels[:, None] if ratio else matrix - levels[:, None]
    kinds = np.array([weekday(day) for day in days])
    table: list[list[float]] = []
    for kind in range(DAYS_OF_WEEK):
        own = (kinds == kind) & np.isfinite(off)
        alike = (kinds >= _SATURDAY if kind >= _SATURDAY else kinds < _SATURDAY) & np.isfinite(off)
        group = _filled(_median(free[alike]), shape) if alike.any() else shape
        count = int(own.sum())
        course = (_filled(_median(free[own]), group) * count + group * 2.0) / (count + 2.0) if count else group
        level = float(np.median(off[own])) if count else (1.0 if ratio else 0.0)
        table.append((course * level if ratio else course + level).tolist())
    return Profile(table, ratio)


def _around(levels: Array, row: int) -> float:
    """The median of the seven days around: each day of the week once, so that none of them weighs more."""
    first = min(max(0, row - DAYS_OF_WEEK // 2), max(0, len(levels) - DAYS_OF_WEEK))
    window = levels[first : first + DAYS_OF_WEEK]
    window = window[np.isfinite(window)]
    found = float(np.median(window)) if len(window) else math.nan
    return found if found != 0.0 else math.nan


def _median(matrix: Array) -> Array:
    """The median of each column; NaN for a column without any value. Several times as fast as numpy's nanmedian."""
    ordered = np.sort(matrix, axis=0)
    counts = np.isfinite(ordered).sum(axis=0)
    columns = np.arange(matrix.shape[1])
    low = ordered[np.maximum((counts - 1) // 2, 0), columns]
    high = ordered[np.minimum(counts // 2, len(ordered) - 1), columns]
    return np.where(counts > 0, (low + high) / 2.0, np.nan)


def _filled(row: Array, other: Array | None = None) -> Array:
    """Missing slots from another row, or from their neighbours around the clock."""
    missing = ~np.isfinite(row)
    if not missing.any():
        return row
    if other is not None:
        return np.where(missing, other, row)
    at = np.arange(len(row), dtype=np.float64)
    return np.asarray(np.interp(at, at[~missing], row[~missing], period=len(row)), dtype=np.float64)


def _smooth(row: Array, days: int) -> Array:
    """Each slot with its neighbours around the clock, the fewer days the more of them."""
    width = len(row) // _WIDTHS_A_DAY if days < _FEW_DAYS else 0
    if width <= 1:
        return row
    kernel = np.ones(width) / width
    wrapped = np.concatenate([row[-width:], row, row[:width]])
    smooth = np.convolve(wrapped, kernel, mode="same")[width:-width]
    off = np.abs(row - smooth)
    # Where the course jumps it does so for a reason: a nightly job is no noise.
    return np.asarray(np.where(off > _JUMP * np.median(off), row, smooth), dtype=np.float64)
