"""States as the values of metrics: one row a metric, window and group for the time-series store."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from functions.measure.metrics.definitions import INTERVALS, LEVELS, IntervalName, Metric
from functions.measure.metrics.groups import SEPARATOR
from functions.measure.metrics.plan import SCALE, Plan
from functions.shared.domain import tags as tagging
from functions.shared.domain.instants import SECOND
from functions.shared.domain.series import MetricRow


class Number(NamedTuple):
    """A basic metric's number in a group; ``samples`` is what it was made of."""

    value: float
    samples: int


class Group(NamedTuple):
    """The tags of a group as the time-series store wants them."""

    columns: dict[str, str]
    text: str
    digest: int


@cache
def group_of(environment: str, cut: str, values: str) -> Group:
    """A group's tags, from the name of its grouping and the values of its dimensions."""
    named = dict(zip(cut.split("+"), values.split(SEPARATOR), strict=False)) if cut else {}
    text = tagging.canonical({"environment": environment, **named})
    return Group({"environment": environment, **named}, text, tagging.digest(text))


class Exporter:
    """Turns groups with all that is kept of them into rows. ``computed_at`` is nanoseconds."""

    def __init__(self, plan: Plan, computed_at: int) -> None:
        self._plan = plan
        self._at = computed_at
        self._wanted = {
            (interval, "+".join(cut)): [
                (name, metric, plan.definitions.basic(name))
                for name, metric in plan.definitions.published().items()
                if cut in metric.cuts(interval)
            ]
            for interval in INTERVALS
            for cut in {cut for metric in plan.definitions.metrics.values() for cut in metric.cuts(interval)}
        }

    def rows(self, groups: Iterable[list[Any]]) -> Iterator[MetricRow]:
        """The rows of groups as :func:`~functions.measure.metrics.compile.changed_groups` gives them."""
        for step, start, environment, cut, values, kept in groups:
            wanted = self._wanted.get((step, cut))
            if not wanted:
                continue
            numbers, known = self._numbers(kept)
            group = group_of(environment, cut, values)
            for name, metric, basic in wanted:
                # Of what was never measured here nothing is told, not even that it is gone.
                if not basic.isdisjoint(known):
                    yield self._row(name, metric, step, start, group, numbers)

    def _row(
        self, name: str, metric: Metric, step: IntervalName, start: int, group: Group, numbers: dict[str, Number]
    ) -> MetricRow:
        value, properties = _value(name, metric, step, numbers)
        tag = group.columns.get
        return MetricRow(
            start * SECOND, name, step, group.columns["environment"], tag("key_id"), tag("platform"), tag("event_type"),
            tag("country"), tag("device_type"), value, group.text, group.digest, _text(properties),
            "gone" if value is None else "live", self._at, tag("event_name"),
        )  # fmt: skip

    def _numbers(self, kept: Iterable[list[Any]]) -> tuple[dict[str, Number], set[str]]:
        """What the slots of a group hold, by basic metric; and which were ever there."""
        slots: dict[tuple[str, str], tuple[dict[str, int], int, list[Any]]] = {}
        ever: set[str] = set()
        for source, slot, sums, unique, quantiles, names in kept:
            slots[(source, slot)] = ({key: int(value) for key, value in sums}, int(unique), quantiles)
            ever.update(names)
        numbers, known = {}, set()
        for name, place in self._plan.places.items():
            held = slots.get((place.source, place.slot))
            if held is None:
                continue
            found = self._number(name, place.kind, *held)
            if found is not None:
                numbers[name] = found
            # A sum of zero is known by what it was summed of; levels of a distribution by its slot.
            if found is not None or not ever.isdisjoint((name, name + "#", place.slot)):
                known.add(name)
        return numbers, known

    def _number(self, name: str, kind: str, sums: dict[str, int], unique: int, quantiles: list[Any]) -> Number | None:
        if kind == "unique":
            return Number(unique, unique) if unique else None
        if kind == "quantile":
            level = self._plan.definitions.metrics[name].level or 0.0
            value = quantiles[LEVELS.index(level)] if quantiles else None
            return None if value is None else Number(value, 0)
        samples = sums.get(name if kind == "count" else name + "#", 0) // SCALE
        if not samples:
            return None
        total = sums.get(name, 0)
        return Number(total // SCALE if total % SCALE == 0 else total / SCALE, samples)


def _value(
    name: str, metric: Metric, step: IntervalName, numbers: dict[str, Number]
) -> tuple[float | None, dict[str, Any]]:
    """A metric's value in a group, None where it has none; and what it was made of."""
    if metric.source:
        found = numbers.get(name)
        if found is None:
            return None, {}
        return float(found.value), {"samples": found.samples} if metric.kind == "sum" else {}
    of = numbers.get(metric.of or "")
    if metric.kind == "rate":
        return (None, {}) if of is None else (of.value / INTERVALS[step], {"numerator": of.value})
    if metric.kind == "difference":
        less = numbers.get(metric.less or "")
        if of is None and less is None:
            return None, {}
        return float((of.value if of else 0) - (less.value if less else 0)), {}
    by = numbers.get(metric.by or "")
    if by is None or not by.value:
        return None, {}
    above = of.value if of else 0
    return above / by.value, {"numerator": above, "denominator": by.value}


def _text(properties: dict[str, Any]) -> str:
    return json.dumps(properties, separators=(",", ":")) if properties else "{}"
