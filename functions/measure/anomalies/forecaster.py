"""One way to expect the next value: a level, a course around it, and how much of the last error carries on."""

import math
from collections import deque
from collections.abc import Callable
from statistics import median

from functions.measure.anomalies.profile import Profile
from functions.measure.anomalies.scale import Spread

_CLIP = 2.5
_WEIGHT_OF_ANOMALY = 0.25
_HOURS = 24
# How many values an hour of the day needs to outweigh the spread of the whole series.
_HOUR_NEEDS = 12.0
_SLOWEST_SPREAD = 0.02
_SLOWEST_HOUR = 0.04
_MEMORY_OF_CARRY = 0.995
_MOST_CARRY = 0.98
_LEAST_SHARE_OF_LEVEL = 0.05
_FEW = 4
# The median distance from the median, in standard deviations of a normal distribution.
_MIDDLE = 0.6745
# How far back the smoothed error looks, in windows.
_SMOOTH = 1.0 / 6.0


class Outlook:
    """What a forecaster expects of one window: the value, its base without the carried error, and its spread."""

    __slots__ = ("base", "carried", "expected", "floor", "hour", "shape", "spread", "unit")

    base: float
    carried: float
    expected: float
    floor: float
    hour: int
    shape: float
    spread: float
    unit: float


class Forecaster:
    """Follows a series with one profile. Every method takes values in the order of time."""

    def __init__(self, gain: float, memory: int, spread: float = 0.0) -> None:
        """``spread`` is what to begin with, in the profile's units: a part of the level where it is a ratio."""
        self.profile: Profile | None = None
        self.level = 0.0
        self.cost = 0.0
        self.smoothed = 0.0
        self._gain = gain
        self._seen = 0
        self._offsets: deque[float] = deque(maxlen=memory)
        self._error = 0.0
        self._carry_up = 0.0
        self._carry_down = 1e-9
        self._begin(spread)

    def _begin(self, spread: float) -> None:
        self._innovation = Spread(_SLOWEST_SPREAD, spread)
        self._hours: list[Spread | None] = [None] * _HOURS
        self._structural = Spread(_SLOWEST_SPREAD, spread)
        self._smooth_spread = Spread(_SLOWEST_SPREAD, spread * 0.5)

    @property
    def carry(self) -> float:
        """How much of an error is expected in the next window as well, 0–1."""
        return min(_MOST_CARRY, max(0.0, self._carry_up / self._carry_down))

    @property
    def spread(self) -> float:
        """How far values are from what is expected, in the units of the series."""
        ratio = self.profile is not None and self.profile.ratio
        return self._innovation.value * (abs(self.level) if ratio else 1.0)

    def look(self, day_of_week: int, slot: int, hour: int, steps: float, least: Callable[[float], float]) -> Outlook:
        """What is expected ``steps`` windows after the last one that could be trusted.

        ``least`` tells the least spread that is believed around a base.
        """
        out = Outlook()
        profile = self.profile
        out.shape = 0.0 if profile is None else profile.table[day_of_week][slot]
        ratio = profile is not None and profile.ratio
        out.base = self.level * out.shape if ratio else self.level + out.shape
        out.unit = max(abs(out.base), _LEAST_SHARE_OF_LEVEL * abs(self.level)) or 1.0 if ratio else 1.0
        carry = self.carry
        now = carry**steps if steps > 1.0 else carry
        out.carried = now * self._error * out.unit
        out.expected = out.base + out.carried
        out.hour = hour
        spread = self._spread(hour)
        lost = carry * carry - now * now
        if lost > 0.0:
            spread = math.sqrt(spread * spread + lost * self._structural.value * self._structural.value)
        out.floor = least(out.base)
        out.spread = max(spread * out.unit, out.floor)
        return out

    def deviation_of_smoothed(self, error: float, floor: float) -> float:
        """How unusual the errors of the last windows are, taken together with this one, in standard deviations."""
        smoothed = self.smoothed + _SMOOTH * (error - self.smoothed)
        spread = max(self._smooth_spread.value, floor)
        return abs(smoothed) / spread if spread > 0.0 else 0.0

    def learn(self, value: float, out: Outlook, *, trusted: bool, adjacent: bool) -> None:
        """Take the value in. One that is not trusted (an anomaly) moves the spread only a little, and not the level."""
        error = (value - out.base) / out.unit
        surprise = abs(value - out.expected) / out.unit
        weight = 1.0 if trusted else _WEIGHT_OF_ANOMALY
        self._offsets.append(self._offset(value, out))
        clipped = self._clip(error)
        if trusted and adjacent:
            self._carry_up = self._carry_up * _MEMORY_OF_CARRY + clipped * self._error
            self._carry_down = self._carry_down * _MEMORY_OF_CARRY + self._error * self._error
        self._seen += 1
        self._innovation.see(surprise, weight)
        self._at(out.hour).see(surprise, weight)
        self._structural.see(abs(error), weight)
        self.smoothed += _SMOOTH * (self._clip(error, 1.6) - self.smoothed)
        if trusted:
            self._smooth_spread.see(abs(self.smoothed))
            self._error = clipped
            self._move(clipped * out.unit, out, max(self._gain, 1.0 / (self._seen + 1.0)))

    def _move(self, error: float, out: Outlook, rate: float) -> None:
        if self.profile is not None and self.profile.ratio:
            # A slot that is near nothing says little about the level.
            self.level += rate * error * out.shape / max(1.0, out.shape * out.shape)
        else:
            self.level += rate * error

    def relevel(self, count: int) -> None:
        """Take the level from the last ``count`` windows: what came is no deviation any more but how it is."""
        newest = list(self._offsets)[-count:]
        if newest:
            self.level = median(newest)
            unit = abs(self.level) or 1.0 if self.profile is not None and self.profile.ratio else 1.0
            apart = median(abs(one - self.level) for one in newest) / unit / _MIDDLE
            if apart > self._innovation.value:
                self._begin(apart)
        self.calm()

    def calm(self) -> None:
        """Forget the errors that were made on another level."""
        self._error = self.smoothed = 0.0

    def refit(self, profile: Profile | None, newest: list[tuple[float, int, int]], *, trusted: bool) -> None:
        """Take a new profile; the level follows from the newest values, each with day of the week and slot."""
        self.profile = profile
        offsets = []
        for value, day_of_week, slot in newest:
            shape = 0.0 if profile is None else profile.table[day_of_week][slot]
            if profile is None or not profile.ratio:
                offsets.append(value - shape)
            elif shape > _LEAST_SHARE_OF_LEVEL:
                offsets.append(value / shape)
        self._offsets.clear()
        if offsets:
            self.level = median(offsets)
            value, day_of_week, slot = newest[-1]
            self._error = self._clip(self._error_of(value, day_of_week, slot)) if trusted else 0.0

    def _clip(self, error: float, more: float = 1.0) -> float:
        known = self._structural.value
        bound = more * _CLIP * known if known > 0.0 and self._seen > _FEW else math.inf
        return min(bound, max(-bound, error))

    def _error_of(self, value: float, day_of_week: int, slot: int) -> float:
        shape = 0.0 if self.profile is None else self.profile.table[day_of_week][slot]
        if self.profile is None or not self.profile.ratio:
            return value - self.level - shape
        base = self.level * shape
        return (value - base) / (max(abs(base), _LEAST_SHARE_OF_LEVEL * abs(self.level)) or 1.0)

    def _offset(self, value: float, out: Outlook) -> float:
        if self.profile is None or not self.profile.ratio:
            return value - out.shape
        return value / out.shape if out.shape > _LEAST_SHARE_OF_LEVEL else self.level

    def _spread(self, hour: int) -> float:
        whole = self._innovation.value
        own = self._hours[hour]
        if own is None or whole <= 0.0 or own.value <= 0.0:
            return whole
        share = own.seen / (own.seen + _HOUR_NEEDS)
        return math.exp(share * math.log(own.value) + (1.0 - share) * math.log(whole))

    def _at(self, hour: int) -> Spread:
        found = self._hours[hour]
        if found is None:
            found = self._hours[hour] = Spread(_SLOWEST_HOUR, self._innovation.value)
        return found
