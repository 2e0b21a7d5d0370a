"""Metric definitions: read from TOML, and held to what the sources offer before anything is computed.

Every mistake is told at start, with the metric's name and the line at which it begins.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from functions.measure.metrics.sources import DIMENSIONS, SOURCES, Column, SourceName
from functions.shared.errors import Misconfigured

MetricKind = Literal["count", "unique", "sum", "quantile", "null_share", "rate", "ratio", "difference"]
IntervalName = Literal["1m", "1h", "1d"]
Cut = tuple[str, ...]
Scalar = bool | int | float | str

INTERVALS: Mapping[IntervalName, int] = {"1m": 60, "1h": 3_600, "1d": 86_400}
# The states that quantiles are computed from hold whole distributions; these levels are read from them.
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
DERIVED = ("rate", "ratio", "difference")
_NAME = re.compile(r"(?=.{1,63}\Z)[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z")
_PATH = re.compile(r"(\w+)\.([A-Za-z0-9_][A-Za-z0-9_.-]{0,120})\Z", re.ASCII)
_HEADER = re.compile(r"\s*\[\s*metrics\s*\.\s*\"?([^\]\"]+?)\"?\s*\]")
_STANDALONE = ("source", "property", "filter", "bots", "significant_digits", "level")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "count": ("source",),
    "unique": ("source", "property"),
    "sum": ("source", "property"),
    "quantile": ("source", "property", "level"),
    "null_share": ("source", "property"),
    "rate": ("of",),
    "ratio": ("of", "by"),
    "difference": ("of", "less"),
}
_OWN: Mapping[str, str] = {"level": "quantile", "significant_digits": "quantile", "by": "ratio", "less": "difference"}


class Comparison(BaseModel):
    """What a field has to be, when it is more than a value or any of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    ne: Scalar | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Comparison":
        if not self.model_fields_set:
            raise ValueError("a comparison needs one of ne, gt, gte, lt, lte, exists")
        return self


Condition = Scalar | Annotated[list[Scalar], Field(min_length=1)] | Comparison


class Metric(BaseModel):
    """One metric, as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    about: Annotated[str, Field(min_length=1)]
    kind: MetricKind
    unit: str = ""
    source: SourceName | None = None
    property: str | None = None
    filter: dict[str, Condition] = {}
    bots: Literal["exclude", "include", "only"] = "exclude"
    level: float | None = None
    significant_digits: Annotated[int, Field(ge=1, le=6)] | None = None
    of: str | None = None
    by: str | None = None
    less: str | None = None
    intervals: tuple[IntervalName, ...] = ()
    dimensions: tuple[str, ...] = ()
    minute_dimensions: tuple[str, ...] = ()
    anomalies: tuple[IntervalName, ...] = ()
    anomaly_dimensions: tuple[str, ...] = ()
    published: bool = True

    def parts(self) -> tuple[str, ...]:
        """The metrics that it is made of."""
        return tuple(one for one in (self.of, self.by, self.less) if one)

    def cuts(self, interval: IntervalName) -> tuple[Cut, ...]:
        """The groupings of its series at an interval, the total first; none where it is not published."""
        if not self.published or interval not in self.intervals:
            return ()
        named = self.minute_dimensions if interval == "1m" else self.dimensions
        return ((), *(tuple(one.split("+")) for one in named))

    def judged(self, interval: IntervalName) -> tuple[Cut, ...]:
        """The groupings whose series are judged at an interval, the total first; at 1m it is the total alone."""
        if interval not in self.anomalies:
            return ()
        return ((), *(tuple(one.split("+")) for one in self.anomaly_dimensions if interval != "1m"))


class Definitions:
    """All metrics by name, sound in themselves and together."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.metrics = dict(metrics)

    def published(self) -> dict[str, Metric]:
        """Those that readers may ask for."""
        return {name: metric for name, metric in self.metrics.items() if metric.published}

    def basic(self, name: str) -> set[str]:
        """The metrics with a source that a metric is made of, in the end; itself when it has one."""
        metric = self.metrics[name]
        return {name} if metric.source else {one for part in metric.parts() for one in self.basic(part)}

    def cuts_of_basic(self, interval: IntervalName) -> dict[str, set[Cut]]:
        """For each metric with a source, the groupings at which some published metric needs it."""
        found: dict[str, set[Cut]] = {name: set() for name, metric in self.metrics.items() if metric.source}
        for name, metric in self.metrics.items():
            for part in self.basic(name):
                found[part].update(metric.cuts(interval))
        return found


SHIPPED = Path(__file__).with_name("metrics.toml")


def load(path: Path = SHIPPED) -> Definitions:
    """Read a file of definitions. Raises :class:`Misconfigured` that names every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path.name} cannot be read: {error}") from None
    return parse(text, path.name)


def parse(text: str, file: str = "metrics.toml") -> Definitions:
    """Definitions of a TOML text. Raises :class:`Misconfigured` that names every mistake by line and metric."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: {error}") from None
    lines = {match[1]: number for number, line in enumerate(text.splitlines(), 1) if (match := _HEADER.match(line))}
    strange = set(found) - {"metrics"}
    given = found.get("metrics", {})
    faults = [f"{file}: {name} is not known; only [metrics.NAME] is" for name in sorted(strange)]
    if not isinstance(given, dict) or not given:
        raise Misconfigured("; ".join([*faults, f"{file}: there is no [metrics.NAME] in it"]))
    metrics: dict[str, Metric] = {}
    for name, table in given.items():
        where = f"{file}:{lines.get(name, '?')} metric {name}"
        read = _metric(name, table)
        if isinstance(read, Metric):
            metrics.update(_spelled_out(name, read))
            read = _sound(read)
        faults += [f"{where}: {fault}" for fault in read]
    for name, metric in metrics.items():
        where = f"{file}:{lines.get(name, '?')} metric {name}"
        faults += [f"{where}: {fault}" for fault in _together(metric, metrics, {*given, *metrics})]
    if faults:
        raise Misconfigured("; ".join(faults))
    return Definitions(metrics)


def _metric(name: str, table: Any) -> Metric | list[str]:
    if not _NAME.match(name):
        return ["a name is lower-case letters, digits and underscores, with dots between words of it, up to 63"]
    try:
        return Metric.model_validate(table)
    except ValidationError as error:
        return list(dict.fromkeys(_told(one) for one in error.errors(include_url=False)))


def _spelled_out(name: str, metric: Metric) -> dict[str, Metric]:
    """The metric; a share of nulls as the ratio that it is, with the two counts it is made of."""
    if metric.kind != "null_share" or metric.property is None:
        return {name: metric}
    whole: dict[str, Any] = {
        "kind": "count",
        "property": None,
        "published": False,
        "anomalies": (),
        "anomaly_dimensions": (),
    }
    missing = {**metric.filter, metric.property: Comparison(exists=False)}
    ratio: dict[str, Any] = {"kind": "ratio", "source": None, "property": None, "filter": {}, "bots": "exclude"}
    of, by = f"{name}#missing", f"{name}#all"
    return {
        of: metric.model_copy(update={**whole, "filter": missing}),
        by: metric.model_copy(update=whole),
        name: metric.model_copy(update={**ratio, "of": of, "by": by}),
    }


def _told(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("bool", "int", "float", "str", "Comparison"))
    if error["type"] == "extra_forbidden":
        return f"{place} is not known{_near(place, Metric.model_fields)}"
    return f"{place}: {error['msg']}" if place else str(error["msg"])


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _sound(metric: Metric) -> list[str]:
    """What is wrong with a metric by itself."""
    needs = _NEEDS[metric.kind]
    faults = [f"kind {metric.kind} needs {name}" for name in needs if getattr(metric, name) is None]
    if metric.kind in DERIVED:
        faults += [f"kind {metric.kind} takes no {name}" for name in _STANDALONE if name in metric.model_fields_set]
    elif metric.parts():
        faults.append(f"kind {metric.kind} is made of no other metric: of, by and less go with rate, ratio, difference")
    faults += [
        f"{name} goes with kind {kind} only"
        for name, kind in _OWN.items()
        if getattr(metric, name) is not None and metric.kind != kind
    ]
    if metric.published and not metric.intervals:
        faults.append(f"intervals: at least one of {', '.join(INTERVALS)}, or published = false")
    if metric.level is not None and metric.level not in LEVELS:
        faults.append(f"level: one of {', '.join(map(str, LEVELS))}")
    if metric.kind == "null_share" and metric.property in metric.filter:
        faults.append(f"filter is not to name {metric.property}, whose absence is what is counted")
    if not set(metric.anomalies) <= set(metric.intervals) or not metric.published:
        faults += ["anomalies: only intervals of a published metric are judged"] if metric.anomalies else []
    if not set(metric.anomaly_dimensions) <= set(metric.dimensions):
        faults.append("anomaly_dimensions: each is to be one of dimensions")
    if metric.kind == "count" and metric.property is not None:
        faults.append("kind count takes no property; filter by { exists = true } instead")
    return faults + (_fits(metric) if metric.source else _known_dimensions(metric, DIMENSIONS, "any source"))


def _fits(metric: Metric) -> list[str]:
    """What of a metric its source does not have."""
    assert metric.source is not None
    source = SOURCES[metric.source]
    faults = _known_dimensions(metric, source.dimensions, f"source {metric.source}")
    if "bots" in metric.model_fields_set and metric.bots != "include" and not source.bot:
        faults.append(f"bots: source {metric.source} does not tell bots apart")
    for place in ([metric.property] if metric.property else []) + list(metric.filter):
        if column(metric.source, place) is None:
            known = [*source.columns, *(f"{one}.<path>" for one in source.documents)]
            faults.append(f"{place} is not a field of source {metric.source}: {', '.join(known)}{_near(place, known)}")
    faults += [fault for place, wanted in metric.filter.items() for fault in _comparable(metric.source, place, wanted)]
    found = column(metric.source, metric.property) if metric.property else None
    numeric = found is None or found.kind == "number" or in_document(metric.source, metric.property or "")
    if metric.kind in ("sum", "quantile") and not numeric:
        faults.append(f"{metric.property} is no number")
    return faults


def _comparable(source: SourceName, place: str, wanted: Condition) -> list[str]:
    found = column(source, place)
    if found is None or in_document(source, place):
        return []
    values: list[Any] = [wanted] if isinstance(wanted, bool | int | float | str) else []
    values = wanted if isinstance(wanted, list) else values
    if isinstance(wanted, Comparison):
        values = [one for one in (wanted.ne, wanted.gt, wanted.gte, wanted.lt, wanted.lte) if one is not None]
    kinds: dict[str, tuple[type, ...]] = {"text": (str,), "number": (int, float), "boolean": (bool,)}
    fits = kinds[found.kind]
    wrong = [one for one in values if not isinstance(one, fits) or (found.kind == "number" and isinstance(one, bool))]
    return [f"filter.{place} is a {found.kind}, and {one!r} is none" for one in wrong]


def _known_dimensions(metric: Metric, known: Iterable[str], where: str) -> list[str]:
    faults = []
    for field in ("dimensions", "minute_dimensions"):
        named = getattr(metric, field)
        for each in named:
            parts = each.split("+")
            strange = [part for part in parts if part not in known]
            faults += [f"{field}: {part!r} is not a dimension of {where}: {', '.join(known)}" for part in strange]
            if sorted(set(parts)) != parts:
                faults.append(f"{field}: {each!r} is to name each dimension once, in alphabetical order")
        if len(set(named)) != len(named):
            faults.append(f"{field}: each once")
    if metric.minute_dimensions and "1m" not in metric.intervals:
        faults.append("minute_dimensions: intervals has no 1m")
    if len(set(metric.intervals)) != len(metric.intervals):
        faults.append("intervals: each once")
    return faults


def _together(metric: Metric, metrics: Mapping[str, Metric], named: set[str]) -> list[str]:
    """What is wrong with what a metric is made of."""
    missing = [part for part in metric.parts() if part not in named]
    faults = [f"there is no metric {part}{_near(part, named)}" for part in missing]
    if missing or any(part not in metrics for part in metric.parts()):
        return faults
    for part in metric.parts():
        if metrics[part].kind in DERIVED:
            faults.append(f"{part} is a {metrics[part].kind}: only of metrics with a source can others be made")
        elif metrics[part].kind == "quantile" or (metric.kind == "rate" and metrics[part].kind == "unique"):
            faults.append(f"a {metric.kind} of a {metrics[part].kind} means nothing")
        else:
            known = SOURCES[metrics[part].source or "visits"].dimensions
            faults += _known_dimensions(metric, known, f"metric {part}")
    return list(dict.fromkeys(faults))


def column(source: SourceName, place: str) -> Column | None:
    """The column of a source that a definition names, or the text at a path of one of its documents."""
    found = SOURCES[source].columns.get(place)
    return found if found is not None or not in_document(source, place) else Column(place, "text")


def in_document(source: SourceName, place: str) -> bool:
    """Whether a definition names a path inside a JSON column of the source."""
    match = _PATH.match(place)
    return match is not None and match[1] in SOURCES[source].documents
