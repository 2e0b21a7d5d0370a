"""How far values usually are from what is expected, followed one by one and unmoved by the size of outliers."""

import math

_TINY = 1e-12
_LARGEST_STEP = 0.4
# Of a normal distribution: the middle and the 80 % quantile of the distance, and the 99 % one that tails are held to.
_MIDDLE_OF_NORMAL = 0.6745
_OUTER_OF_NORMAL = 1.2816
_TAIL_OF_NORMAL = 2.576


class Quantile:
    """A quantile of positive numbers, followed by steps in proportion: each value counts by its side, not its size."""

    __slots__ = ("_share", "_slowest", "seen", "value")

    def __init__(self, share: float, slowest: float, value: float = 0.0) -> None:
        self.value = value
        self.seen = 0.0
        self._share = share
        self._slowest = slowest

    def see(self, number: float, weight: float = 1.0) -> None:
        """Move towards the number's side; ``weight`` below 1 moves less."""
        self.seen += weight
        if self.value <= _TINY:
            self.value = number
            return
        rate = max(self._slowest, _LARGEST_STEP / (1.0 + 0.15 * self.seen)) * weight
        self.value *= math.exp(rate * (self._share if number > self.value else self._share - 1.0))


class Spread:
    """A standard deviation, as told by the middle and by the outer values, whichever says more."""

    __slots__ = ("_middle", "_outer", "_slowest", "seen", "value")

    def __init__(self, slowest: float, start: float = 0.0) -> None:
        self.value = start
        self.seen = 0.0
        self._slowest = slowest
        self._middle = start * _MIDDLE_OF_NORMAL
        self._outer = start * _OUTER_OF_NORMAL

    def see(self, distance: float, weight: float = 1.0) -> None:
        """Take one distance into account: two quantiles at once, since this is what most of the time goes into."""
        self.seen += weight
        if self._middle <= _TINY:
            self._middle = distance
            self._outer = distance * _OUTER_OF_NORMAL / _MIDDLE_OF_NORMAL
        else:
            rate = max(self._slowest, _LARGEST_STEP / (1.0 + 0.15 * self.seen)) * weight
            up = math.exp(0.5 * rate)
            self._middle = self._middle * up if distance > self._middle else self._middle / up
            self._outer *= math.exp((0.8 if distance > self._outer else -0.2) * rate)
        self.value = max(self._middle / _MIDDLE_OF_NORMAL, self._outer / _OUTER_OF_NORMAL)


class Tail:
    """The deviation, in standard deviations, that is no longer normal; wider for series whose tails are heavy."""

    __slots__ = ("_factor", "_least", "_most", "_outer")

    def __init__(self, least: float, most: float, factor: float, slowest: float) -> None:
        self._outer = Quantile(0.99, slowest, _TAIL_OF_NORMAL)
        # Past the first wild steps of a quantile that is new.
        self._outer.seen = 60.0
        self._least, self._most, self._factor = least, most, factor

    @property
    def limit(self) -> float:
        """The largest deviation that is still normal."""
        return min(self._most, max(self._least, self._factor * self._outer.value))

    def see(self, deviation: float) -> None:
        """Take the deviation of one window into account."""
        self._outer.see(min(deviation, self._most))
