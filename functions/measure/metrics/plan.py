"""What is kept of each source, by which groupings, and where the numbers of each metric are.

A source has slots. Its first one, named "", holds the additive measures and the first `unique`; each further `unique`
and each `quantile` has a slot of its own, named like the first metric that needs it.
"""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from functions.measure.metrics import conditions
from functions.measure.metrics.definitions import INTERVALS, Cut, Definitions, Metric
from functions.measure.metrics.sources import SourceName
from functions.measure.metrics.states import DIFFERENT_OF

SCALE = 1_000_000
# Series by the minute have few groupings. All others begin with blocks of ten minutes, which are merged to hours and
# days: by the minute, most groups would be states of one or two events, as many as there are events.
MINUTE = "1m"
BLOCK = "10m"
BLOCK_SECONDS = 600


class Place(NamedTuple):
    """Where a metric's own numbers are kept."""

    source: SourceName
    slot: str
    kind: str


@dataclass
class Slot:
    """One slot of a source: what is kept in it, and by which groupings."""

    source: SourceName
    name: str
    sums: dict[str, Metric] = field(default_factory=dict)
    unique: tuple[str, Metric] | None = None
    unique_cuts: set[tuple[str, Cut]] = field(default_factory=set)
    quantile: tuple[str, Metric] | None = None
    minute_cuts: set[Cut] = field(default_factory=set)
    block_cuts: set[Cut] = field(default_factory=set)

    @property
    def states(self) -> list[str]:
        """The columns of states that it has."""
        spread = "amounts" if self.quantile and self.quantile[1].significant_digits else "values"
        return [*([self.set_column] if self.unique else []), *([spread] if self.quantile else [])]

    @property
    def set_column(self) -> str:
        """The column of the set of what is counted once."""
        return "numbers" if self.unique and conditions.numbered(self.source, self.unique[1]) else "uniques"

    @property
    def different(self) -> str:
        """How much is in it."""
        return DIFFERENT_OF[self.set_column] if self.unique else "toUInt64(0)"

    @property
    def signature(self) -> int:
        """What its states are of: other metrics, conditions, sets or forms make another number."""
        measured = {**self.sums, **dict(one for one in (self.unique, self.quantile) if one)}
        told = [
            (name, metric.kind, metric.property, metric.significant_digits, conditions.of(metric))
            for name, metric in sorted(measured.items())
        ]
        # Those of minutes were merged to nothing where all rows were read for each change.
        kept = ["minutes"] if self.source in ("events", "raw") and self.states and self.minute_cuts else []
        return _number_of([self.source, self.name, told, sorted(self.unique_cuts), self.states, SCALE, *kept])

    def cuts(self) -> list[tuple[str, Cut]]:
        """Its groupings by step, in their order."""
        return [(MINUTE, cut) for cut in sorted(self.minute_cuts)] + [(BLOCK, cut) for cut in sorted(self.block_cuts)]


class Plan:
    """All slots, and for each basic metric the place of its numbers."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.slots: dict[tuple[SourceName, str], Slot] = {}
        self.places: dict[str, Place] = {}
        by_minute, by_hour, by_day = (definitions.cuts_of_basic(interval) for interval in INTERVALS)
        self._minute_cuts = by_minute
        self._block_cuts = {name: cuts | by_day[name] for name, cuts in by_hour.items()}
        self._quantiles: dict[tuple[object, ...], str] = {}
        for name, metric in definitions.metrics.items():
            if metric.source and (self._minute_cuts[name] or self._block_cuts[name]):
                self._place(name, metric, metric.source)

    def _place(self, name: str, metric: Metric, source: SourceName) -> None:
        slot = self._slot(source, "")
        if metric.kind in ("count", "sum"):
            slot.sums[name] = metric
        elif metric.kind == "unique":
            slot = slot if slot.unique is None else self._slot(source, name)
            slot.unique = (name, metric)
            slot.unique_cuts = {(MINUTE, cut) for cut in self._minute_cuts[name]}
            slot.unique_cuts |= {(BLOCK, cut) for cut in self._block_cuts[name]}
        else:
            # Levels of the same distribution are read from the same states.
            same = (source, metric.property, metric.significant_digits, conditions.of(metric))
            slot = self._slot(source, self._quantiles.setdefault(same, name))
            slot.quantile = slot.quantile or (name, metric)
        slot.minute_cuts |= self._minute_cuts[name]
        slot.block_cuts |= self._block_cuts[name]
        self.places[name] = Place(source, slot.name, metric.kind)

    def _slot(self, source: SourceName, name: str) -> Slot:
        return self.slots.setdefault((source, name), Slot(source, name))

    def computed(self) -> list[Slot]:
        """The slots that hold something."""
        return [slot for slot in self.slots.values() if slot.sums or slot.unique or slot.quantile]

    @property
    def signature(self) -> int:
        """What all states are of, by which groupings: those of other plans are not to be added to."""
        return _number_of([(slot.signature, slot.cuts()) for slot in self.computed()])


def _number_of(told: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(told).encode(), digest_size=8).digest())
