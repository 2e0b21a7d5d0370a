"""The calendar as the detector sees it: days in UTC, slots of a day, days of the week."""

from collections import Counter

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DAYS_OF_WEEK = 7
# 1970-01-01 was a Thursday, the fourth day of a week.
_FIRST_WEEKDAY = 3
# Finer slots than this see too few values each to be worth having.
_FINEST = 5 * MINUTE
# Coarser series have no course of a day.
_COARSEST = 6 * HOUR


def weekday(day: int) -> int:
    """The day of the week of a day since 1970, Monday = 0."""
    return (day + _FIRST_WEEKDAY) % DAYS_OF_WEEK


def slots_of(interval: int) -> int:
    """Into how many slots a day is cut for a series of this interval."""
    if interval > _COARSEST:
        return 1
    return -(-DAY // max(interval, _FINEST))


class Interval:
    """The interval of a series, when it is not known: the commonest step so far (of equals, the smallest)."""

    def __init__(self, known: int | None) -> None:
        self.value = known or 0
        self._known = known is not None
        self._steps: Counter[int] = Counter()

    def see(self, step: int) -> None:
        """Take one more step into account."""
        if self._known or step <= 0:
            return
        self._steps[step] += 1
        seen, best = self._steps[step], self._steps[self.value]
        if seen > best or (seen == best and step < self.value):
            self.value = step
