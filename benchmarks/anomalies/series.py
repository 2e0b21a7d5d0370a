"""Series with faults of which one knows where they are. The same seed makes the same series."""

import math
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# A Wednesday, 2025-01-01.
START = 1_735_689_600_000_000_000
_QUIET = 0.2  # of a series, from its start: every method may learn in it


class Label(NamedTuple):
    """Where a fault is seen: first and last timestamp."""

    first: int
    last: int


class Series(NamedTuple):
    """A labelled series. A fault that one need not tell (a gap) has no label: whoever is silent is right."""

    name: str
    fault: str
    interval: int
    ts: list[int]
    values: list[float]
    labels: list[Label]


class _Draft:
    def __init__(self, rng: random.Random, interval: int, values: list[float], noise: list[float]) -> None:
        self.rng, self.interval, self.values, self.noise = rng, interval, values, noise
        self.per_day = max(1, DAY // interval)
        self.labels: list[tuple[int, int]] = []
        self.removed: set[int] = set()

    def places(self, count: int, length: int) -> list[int]:
        """Starts for faults of a length, apart from each other, after the quiet part."""
        low = int(len(self.values) * _QUIET)
        room = (len(self.values) - low) // count
        spare = max(1, room - length - max(8, self.per_day // 2))
        return [low + turn * room + self.rng.randrange(spare) for turn in range(count)]


def _traffic(rng: random.Random, interval: int, count: int, level: float, noise: float, trend: float) -> _Draft:
    """Traffic of a site: a day with two humps, quieter weekends, noise that grows with it and carries on a little."""
    phase, second = rng.uniform(11, 15), rng.uniform(0.2, 0.6)
    weekend = rng.uniform(0.5, 0.9)
    carried, values, sizes = 0.0, [], []
    for place in range(count):
        hour = place * interval / HOUR
        of_day = math.cos((hour - phase) * math.tau / 24)
        shape = math.exp(0.9 * of_day + second * math.cos((hour - phase - 7) * math.tau / 12))
        day = int(hour // 24)
        shape *= weekend if (day + 2) % 7 >= 5 else 1.0
        carried = 0.5 * carried + rng.gauss(0, noise)
        base = level * shape * (1 + trend * place / count)
        values.append(round(max(0.0, base * math.exp(carried))))
        sizes.append(max(1.0, base * noise * 1.2 + 1))
    return _Draft(rng, interval, values, sizes)


def traffic_hourly(rng: random.Random) -> _Draft:
    return _traffic(rng, HOUR, 24 * 56, rng.uniform(200, 2000), rng.uniform(0.04, 0.1), 0.0)


def traffic_5m(rng: random.Random) -> _Draft:
    return _traffic(rng, 5 * MINUTE, 288 * 21, rng.uniform(60, 600), rng.uniform(0.05, 0.12), 0.0)


def trending(rng: random.Random) -> _Draft:
    return _traffic(rng, HOUR, 24 * 56, rng.uniform(100, 500), rng.uniform(0.04, 0.1), rng.uniform(0.8, 2.0))


def sparse(rng: random.Random) -> _Draft:
    """Counts near zero, more by day."""
    rate, values, sizes = rng.uniform(0.1, 0.8), [], []
    for place in range(24 * 56):
        mean = rate * (1 + 0.8 * math.cos((place - 14) * math.tau / 24))
        values.append(float(_poisson(rng, mean)))
        sizes.append(math.sqrt(mean) + 0.5)
    return _Draft(rng, HOUR, values, sizes)


def constant(rng: random.Random) -> _Draft:
    """Always the same, as a count of servers or a limit is."""
    value = float(rng.choice([0, 5, 40, 100, 1000]))
    return _Draft(rng, 15 * MINUTE, [value] * (96 * 21), [max(1.0, value / 20)] * (96 * 21))


def noisy(rng: random.Random) -> _Draft:
    """No season; the noise carries on and has heavy tails (a latency)."""
    level, carried, values = rng.uniform(20, 200), 0.0, []
    for _ in range(288 * 14):
        carried = 0.6 * carried + rng.gauss(0, 1) * (2.5 if rng.random() < 0.03 else 1.0)
        values.append(level * (1 + 0.06 * carried))
    return _Draft(rng, 5 * MINUTE, values, [level * 0.08] * len(values))


def daily(rng: random.Random) -> _Draft:
    """One value a day for two years, with a week in it."""
    level, weekend = rng.uniform(1e3, 1e5), rng.uniform(0.4, 0.9)
    noise = rng.uniform(0.03, 0.08)
    base = [level * (weekend if (day + 2) % 7 >= 5 else 1.0) for day in range(730)]
    return _Draft(rng, DAY, [round(one * math.exp(rng.gauss(0, noise))) for one in base], [one * noise for one in base])


def _poisson(rng: random.Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _raise(draft: _Draft, first: int, length: int, up: bool, least: float) -> None:
    for place in range(first, min(first + length, len(draft.values))):
        change = max(abs(draft.values[place]) * draft.rng.uniform(0.7, 2.0), least * draft.noise[place])
        # What can never be below nothing stays there.
        draft.values[place] = draft.values[place] + change if up else draft.values[place] * draft.rng.uniform(0.0, 0.3)
    draft.labels.append((first, min(first + length, len(draft.values)) - 1))


def spike(draft: _Draft) -> None:
    for first in draft.places(4, 3):
        _raise(draft, first, draft.rng.randint(1, 3), up=True, least=8)


def dip(draft: _Draft) -> None:
    for first in draft.places(4, 3):
        _raise(draft, first, draft.rng.randint(1, 3), up=False, least=8)


def collective(draft: _Draft) -> None:
    """Some hours on another level."""
    length = max(4, draft.per_day // 3)
    for first in draft.places(3, length):
        up = draft.rng.random() < 0.5
        share = draft.rng.uniform(1.6, 2.2) if up else draft.rng.uniform(0.2, 0.5)
        for place in range(first, first + length):
            draft.values[place] = draft.values[place] * share + (5 * draft.noise[place] if up else 0)
        draft.labels.append((first, first + length - 1))


def level_shift(draft: _Draft) -> None:
    """Another level for good; it is news for a day, and then it is how things are."""
    first = draft.places(1, len(draft.values) // 3)[0]
    share = draft.rng.choice([draft.rng.uniform(0.3, 0.55), draft.rng.uniform(1.6, 2.5)])
    for place in range(first, len(draft.values)):
        draft.values[place] = draft.values[place] * share + (6 * draft.noise[place] if share > 1 else 0)
    draft.labels.append((first, first + max(7, draft.per_day)))


def drift(draft: _Draft) -> None:
    """Creeps up within a day and a half, stays for a day, and is gone."""
    ramp, stay = max(8, draft.per_day * 3 // 2), max(4, draft.per_day)
    for first in draft.places(2, ramp + stay):
        share = draft.rng.uniform(0.9, 1.6)
        for place in range(first, first + ramp + stay):
            part = min(1.0, (place - first) / ramp)
            draft.values[place] *= 1 + share * part
            draft.values[place] += 6 * draft.noise[place] * part
        draft.labels.append((first, first + ramp + stay))


def changed_season(draft: _Draft) -> None:
    """The day begins eight hours later from now on; news for two days."""
    shift = draft.per_day // 3
    first = draft.places(1, len(draft.values) // 3)[0]
    before = list(draft.values)
    for place in range(first, len(draft.values)):
        draft.values[place] = before[place - shift]
    draft.labels.append((first, first + 2 * draft.per_day))


def gap(draft: _Draft) -> None:
    """Rows are missing; nothing is wrong with those that are there."""
    length = max(3, draft.per_day // 3)
    for first in draft.places(4, length):
        draft.removed.update(range(first, first + length))


def none(draft: _Draft) -> None:
    """Nothing is wrong."""


SHAPES: dict[str, Callable[[random.Random], _Draft]] = {
    "traffic, 1 h": traffic_hourly,
    "traffic, 5 m": traffic_5m,
    "trending": trending,
    "sparse counts": sparse,
    "constant": constant,
    "noisy": noisy,
    "daily": daily,
}
FAULTS: dict[str, Callable[[_Draft], None]] = {
    "spike": spike,
    "dip": dip,
    "collective": collective,
    "level shift": level_shift,
    "drift": drift,
    "changed season": changed_season,
    "gap": gap,
    "none": none,
}
# What cannot be seen even by one who knows: no dip below nothing, no season where there is none.
_ABSURD = {
    *(("sparse counts", fault) for fault in ("dip", "changed season", "drift", "level shift", "collective")),
    *(("constant", fault) for fault in ("changed season",)),
    *(("noisy", fault) for fault in ("changed season",)),
    *(("daily", fault) for fault in ("changed season",)),
}


def make(shape: str, fault: str, seed: int) -> Series:
    """One labelled series."""
    rng = random.Random(f"{shape}/{fault}/{seed}")
    draft = SHAPES[shape](rng)
    if shape == "constant" and draft.values[0] == 0.0 and fault != "spike":
        draft.values = [5.0] * len(draft.values)
    FAULTS[fault](draft)
    if shape != "noisy":
        draft.values = [float(round(value)) for value in draft.values]
    kept = [place for place in range(len(draft.values)) if place not in draft.removed]
    at = [START + place * draft.interval for place in range(len(draft.values) + 1)]
    last = len(draft.values) - 1
    labels = [Label(at[first], at[min(until, last)]) for first, until in draft.labels]
    values = [float(draft.values[place]) for place in kept]
    return Series(shape, fault, draft.interval, [at[place] for place in kept], values, labels)


def all_series(seeds: range) -> Iterator[Series]:
    """Every shape with every fault that makes sense on it, for each seed."""
    for seed in seeds:
        for shape in SHAPES:
            for fault in FAULTS:
                if (shape, fault) not in _ABSURD:
                    yield make(shape, fault, seed)
