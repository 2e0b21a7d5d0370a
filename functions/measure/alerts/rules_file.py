"""Rules: read from TOML, and held to the metrics that there are. Every mistake is told at start, by rule and field."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from functions.measure.alerts.rules import MODELS, AnomalyRule, MetricRule, QualityRule, Rule
from functions.measure.metrics.definitions import Definitions
from functions.shared.errors import Misconfigured

SHIPPED = Path(__file__).with_name("alerts.toml")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_HEADER = re.compile(r"\s*\[\s*rules\s*\.\s*\"?([^\]\"]+?)\"?\s*\]")


def path(setting: str) -> Path:
    """The file that a setting names; the shipped one where it names none."""
    return Path(setting) if setting else SHIPPED


def load(definitions: Definitions, file: Path = SHIPPED) -> dict[str, Rule]:
    """Read a file of rules. Raises :class:`Misconfigured` that names every mistake."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file.name} cannot be read: {error}") from None
    return parse(text, definitions, file.name)


def parse(text: str, definitions: Definitions, file: str = "alerts.toml") -> dict[str, Rule]:
    """Rules of a TOML text by name; a file without any is right too. Raises :class:`Misconfigured`."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: {error}") from None
    faults = [f"{file}: {name} is not known; only [rules.NAME] is" for name in sorted(set(found) - {"rules"})]
    given = found.get("rules", {})
    if not isinstance(given, dict):
        raise Misconfigured("; ".join([*faults, f"{file}: rules are to be [rules.NAME]"]))
    lines = {match[1]: number for number, line in enumerate(text.splitlines(), 1) if (match := _HEADER.match(line))}
    rules: dict[str, Rule] = {}
    for name, table in given.items():
        read = _rule(name, table)
        if isinstance(read, BaseModel):
            rules[name] = read
            read = _sound(read, definitions)
        faults += [f"{file}:{lines.get(name, '?')} rule {name}: {fault}" for fault in read]
    if faults:
        raise Misconfigured("; ".join(faults))
    return rules


def _rule(name: str, table: Any) -> Rule | list[str]:
    if not _NAME.match(name):
        return ["a name is lower-case letters, digits and underscores, up to 63"]
    if not isinstance(table, dict):
        return ["is no table: write [rules.NAME]"]
    kind = table.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        told = "is missing" if kind is None else f"{kind!r} is not known"
        return [f"kind: {told}; one of {', '.join(MODELS)}{_near(str(kind), MODELS)}"]
    try:
        return model.model_validate(table)
    except ValidationError as error:
        return list(dict.fromkeys(_told(one, model) for one in error.errors(include_url=False)))


def _told(error: Any, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place} is not known{_near(place, model.model_fields)}"
    return f"{place}: {error['msg']}"


def _sound(rule: Rule, definitions: Definitions) -> list[str]:
    """What of a rule nothing is measured by."""
    published = definitions.published()
    if isinstance(rule, QualityRule):
        return [] if rule.series.endswith("*") else _known("series", rule.series, published)
    if isinstance(rule, AnomalyRule):
        return _known("metric", rule.metric, published) if rule.metric else []
    if not isinstance(rule, MetricRule):
        return []
    if faults := _known("metric", rule.metric, published):
        return faults
    metric = published[rule.metric]
    if rule.interval not in metric.intervals:
        return [f"interval: {rule.metric} is measured at {', '.join(metric.intervals)}, not {rule.interval}"]
    if both := set(rule.tags) & set(rule.by):
        return [f"by: {', '.join(sorted(both))} is among tags too"]
    cuts = metric.cuts(rule.interval)
    if rule.cut() not in cuts:
        kept = ", ".join("+".join(one) for one in cuts if one) or "none: only in total"
        return [f"{'by' if rule.by else 'tags'}: {rule.metric} at {rule.interval} is measured by {kept}"]
    return []


def _known(field: str, name: str, known: Iterable[str]) -> list[str]:
    names = set(known)
    return [] if name in names else [f"{field}: there is no published metric {name}{_near(name, names)}"]


def _near(name: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
