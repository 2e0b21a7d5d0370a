"""What the rules see in what was read: of each alert of a rule, by its tags, whether it breaches. Pure."""

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from functions.measure.alerts.machine import Missing, Seen, Verdict
from functions.measure.alerts.rules import AnomalyRule, MetricRule, Operator, QualityRule, Rule
from functions.shared.domain import tags as tagging

QUALITY = "quality."
_COMPARE: Mapping[Operator, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_STRENGTH = {"none": 0, "low": 1, "medium": 2, "high": 3}
_NOT_JUDGED: Mapping[Missing, Seen] = {"keep": Seen("missing"), "ok": Seen("clear"), "firing": Seen("breach")}

Views = dict[str, Seen]


class Window(NamedTuple):
    """A metric's value in a window. ``ts`` is its start in nanoseconds, ``tags`` are canonical."""

    metric: str
    interval: str
    tags: str
    ts: int
    value: float | None


class Judged(NamedTuple):
    """A window that was judged."""

    metric: str
    interval: str
    tags: str
    ts: int
    value: float | None
    severity: str
    run: int
    is_anomaly: bool


def unseen(missing: Missing) -> Seen:
    """What to make of an alert of which nothing was found."""
    return _NOT_JUDGED[missing]


def concerns(rule: Rule, tags: Mapping[str, str]) -> bool:
    """Whether an alert of these tags can still be one of the rule, which may have been changed since."""
    if isinstance(rule, MetricRule):
        return set(tags) == {*rule.cut(), "environment"} and tags.items() >= rule.fixed().items()
    if isinstance(rule, AnomalyRule | QualityRule):
        return tags.get("environment") == rule.environment and _about(
            rule, tags.get("metric", ""), tags.get("interval", "")
        )
    return not tags


def over_threshold(rule: MetricRule, windows: Iterable[Window], newest: int, step: int) -> Views:
    """By the tags of each group, from the windows up to the newest. ``step`` is their length in nanoseconds."""
    starts = [newest - step * back for back in reversed(range(rule.for_windows))]
    groups: dict[str, dict[int, float | None]] = {} if rule.by else {tagging.canonical(rule.fixed()): {}}
    for window in windows:
        if window.metric != rule.metric or window.interval != rule.interval:
            continue
        tags = json.loads(window.tags)
        if concerns(rule, tags):
            groups.setdefault(tagging.canonical(tags), {})[window.ts] = window.value
    return {tags: _lasting(rule, [values.get(start) for start in starts]) for tags, values in groups.items()}


def _lasting(rule: MetricRule, values: Sequence[float | None]) -> Seen:
    verdicts = [_verdict(rule, value) for value in values]
    return Seen(verdicts[-1], all(one == "breach" for one in verdicts), values[-1])


def _verdict(rule: MetricRule, value: float | None) -> Verdict:
    if value is None:
        return unseen(rule.missing).verdict
    return "breach" if _COMPARE[rule.op](value, rule.threshold) else "clear"


def not_as_expected(rule: AnomalyRule | QualityRule, judged: Iterable[Judged]) -> Views:
    """By the tags of each series and its name, from its newest window that was judged."""
    newest: dict[tuple[str, str, str], Judged] = {}
    for one in judged:
        place = (one.metric, one.interval, one.tags)
        if place not in newest or newest[place].ts < one.ts:
            newest[place] = one
    views = {}
    for one in newest.values():
        tags = {**json.loads(one.tags), "metric": one.metric, "interval": one.interval}
        if concerns(rule, tags):
            strong = one.is_anomaly and _STRENGTH.get(one.severity, 0) >= _STRENGTH[rule.at_least]
            verdict: Verdict = "breach" if strong else "clear"
            views[tagging.canonical(tags)] = Seen(verdict, one.run >= rule.for_windows, one.value)
    return views


def _about(rule: AnomalyRule | QualityRule, metric: str, interval: str) -> bool:
    if rule.interval not in (None, interval):
        return False
    if isinstance(rule, QualityRule):
        stem = rule.series.removesuffix("*")
        return metric.startswith(stem) if rule.series.endswith("*") else metric == stem
    return metric == rule.metric if rule.metric else not metric.startswith(QUALITY)


def over(value: float | None, most: float, missing: Missing) -> Views:
    """Of the one alert of a rule about a single number."""
    if value is None:
        return {"{}": unseen(missing)}
    return {"{}": Seen("breach" if value > most else "clear", value=value)}
