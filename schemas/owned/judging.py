"""Events held to their schemas: a verdict for each that violates its own, nothing for all others.

What is told of a violation is a place and a rule, never what the client sent: a value may be anybody's name. Of places
only those that the schema itself names are told; other names in them are the client's too, and become ``*``.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from schemas.faults import Fault, Location
from schemas.owned.keywords import walk
from schemas.owned.registry import Kept, Registry
from schemas.owned.versions import Version, chosen

VIOLATION: Literal["schema_violation"] = "schema_violation"
MOST_TOLD = 10
_VERSION_AT: Location = ("context", "schema_version")
# By the rule that was broken; in braces what the schema says, which is its owner's word and not the client's.
_SENTENCES = {
    "additionalProperties": "Holds a property that the schema does not have",
    "const": "Is not the one value that the schema has",
    "enum": "Is none of the values that the schema has",
    "exclusiveMaximum": "Is not less than {limit}",
    "exclusiveMinimum": "Is not more than {limit}",
    "falseSchema": "Is not to be there",
    "format": "Is no {format}",
    "maxItems": "Has more than {limit} items",
    "maximum": "Is more than {limit}",
    "maxLength": "Is longer than {limit} characters",
    "maxProperties": "Has more than {limit} properties",
    "minItems": "Has less than {limit} items",
    "minimum": "Is less than {limit}",
    "minLength": "Is shorter than {limit} characters",
    "minProperties": "Has less than {limit} properties",
    "multipleOf": "Is no multiple of {multiple_of}",
    "pattern": "Does not match the pattern {pattern}",
    "required": "Is required",
    "type": "Is not of the type {types}",
    "unevaluatedProperties": "Holds a property that the schema does not have",
    "uniqueItems": "Holds an item twice",
}


class Verdict(NamedTuple):
    """What a violation costs: its event (``failed``), or a flag."""

    failed: bool
    faults: list[Fault]


class Judge:
    """Judges blocks of events. Events that have no schema cost the look at their name."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names: dict[str, frozenset[str]] = {}

    def judge(self, events: Sequence[dict[str, Any] | None], key_id: str) -> dict[int, Verdict]:
        """Verdicts by the index of the event; None in the place of an event is none."""
        known = self._registry.events
        if not known:
            return {}
        found = {}
        for index, event in enumerate(events):
            if event is not None and event["event_name"] in known:
                verdict = self._one(event, key_id)
                if verdict is not None:
                    found[index] = verdict
        return found

    def _one(self, event: Mapping[str, Any], key_id: str) -> Verdict | None:
        name = event["event_name"]
        mode = self._registry.modes.of(name, key_id)
        if mode == "off":
            return None
        versions = self._registry.events[name]
        version = chosen((event.get("context") or {}).get("schema_version"), versions)
        if version is None:
            told = f"There is no such version; there are {', '.join(map(str, sorted(versions)))}."
            return Verdict(mode == "enforce", [Fault(VIOLATION, _VERSION_AT, told)])
        kept = versions[version]
        try:
            if kept.validator.is_valid(event):
                return None
            faults = self._faults(kept, version, event)
        except Exception as error:  # noqa: BLE001  a defect of the judge costs no event; it is told like a violation
            return Verdict(False, [Fault(VIOLATION, (), f"Could not be judged: {type(error).__name__}.")])
        return Verdict(mode == "enforce", faults)

    def _faults(self, kept: Kept, version: Version, event: Mapping[str, Any]) -> list[Fault]:
        if kept.file not in self._names:
            self._names[kept.file] = frozenset(_names(kept.document))
        names = self._names[kept.file]
        # In an order of their own, so that a retry makes the same row.
        found = {
            Fault(VIOLATION, _place(error, names), _sentence(error.kind, version))
            for error in islice(kept.validator.iter_errors(event), 4 * MOST_TOLD)
        }
        return sorted(found, key=lambda fault: (list(map(str, fault.loc)), fault.message))[:MOST_TOLD]


def _names(document: dict[str, Any]) -> Iterable[str]:
    """The names of properties that the schema's owner wrote."""
    for _, schema in walk(document):
        if isinstance(schema, dict):
            yield from schema.get("properties", ())
            yield from schema.get("required", ())
            yield from schema.get("dependentRequired", ())


def _place(error: Any, names: frozenset[str]) -> Location:
    told = [part if isinstance(part, int) or part in names else "*" for part in error.instance_path]
    if error.kind.name == "required":
        told.append(error.kind.property)
    return tuple(told)


def _sentence(kind: Any, version: Version) -> str:
    words = _SENTENCES.get(kind.name, "Does not hold to {keyword}")
    given = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in kind.as_dict().items()
        if not isinstance(value, dict)
    }
    return f"{words.format(keyword=kind.name, **given)} (version {version} of the schema)."
