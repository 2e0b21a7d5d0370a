"""Events are held to the schema of their name and version, and what is told of them is nobody's."""

from pathlib import Path
from typing import Any

import pytest

from schemas.owned import judging
from schemas.owned.judging import MOST_TOLD, Judge
from schemas.owned.versions import Version
from tests.unit.schemas.owned.registries import of_properties, registry

FILES = {
    "home/1.0.json": of_properties("Home", plan={"enum": ["free", "pro"]}),
    "home/2.0.json": of_properties("Home", plan={"type": "integer"}),
}


def event(name: str = "Home", said: Any = None, **properties: Any) -> dict[str, Any]:
    context = {} if said is None else {"schema_version": said}
    return {"event_type": "t", "event_name": name, "platform": "web", "properties": properties, "context": context}


def told(judge: Judge, one: dict[str, Any], key: str = "live_a") -> list[tuple[Any, ...]] | None:
    verdict = judge.judge([one], key).get(0)
    return None if verdict is None else [fault.loc for fault in verdict.faults]


def test_an_event_is_held_to_the_version_it_names_else_to_the_newest(tmp_path: Path) -> None:
    judge = Judge(registry(tmp_path, FILES))
    assert told(judge, event(plan=1)) is None
    assert told(judge, event(plan="pro")) == [("properties", "plan")]
    assert told(judge, event(said="1.0", plan="pro")) is None
    assert told(judge, event(said=1, plan="pro")) is None
    assert told(judge, event(said="3.0", plan=1)) == [("context", "schema_version")]
    assert told(judge, {"event_name": "Home", "context": None, "properties": None}) is None


def test_events_without_a_schema_and_bad_events_are_not_looked_at(tmp_path: Path) -> None:
    judge = Judge(registry(tmp_path, FILES))
    assert judge.judge([None, event("Else", plan=[]), event(plan=None)], "k").keys() == {2}


MODES = """
[[rules]]
mode = "off"
[[rules]]
event = "Home"
mode = "warn"
[[rules]]
key = "live_strict"
mode = "enforce"
[[rules]]
key = "live_strict"
event = "Buy"
mode = "off"
"""


@pytest.mark.parametrize(
    ("name", "key", "failed"),
    [
        ("Buy", "live_a", None),
        ("Home", "live_a", False),
        ("Home", "live_strict", True),
        ("Buy", "live_strict", None),
        ("Pay", "live_strict", True),
    ],
)
def test_the_rule_that_says_most_counts(tmp_path: Path, name: str, key: str, failed: bool | None) -> None:
    files = {f"{one.lower()}/1.0.json": of_properties(one, plan={"type": "string"}) for one in ("Home", "Buy", "Pay")}
    verdict = Judge(registry(tmp_path, files, MODES)).judge([event(name, plan=1)], key).get(0)
    assert (None if verdict is None else verdict.failed) is failed


def test_without_a_rule_a_violation_is_a_warning(tmp_path: Path) -> None:
    verdict = Judge(registry(tmp_path, FILES)).judge([event(plan="x")], "k")[0]
    assert not verdict.failed


def test_nothing_that_a_client_sent_is_told(tmp_path: Path) -> None:
    schema = of_properties(
        "Home",
        email={"format": "email", "maxLength": 5, "pattern": "^a"},
        by_person={"type": "object", "additionalProperties": {"type": "integer"}},
        list={"items": {"const": 7}},
    )
    schema["properties"]["properties"]["additionalProperties"] = False
    judge = Judge(registry(tmp_path, {"home/1.0.json": schema}))
    sent = event(email="Ann Smith", by_person={"ann@example.org": "Ann"}, list=[7, "Ann"], ann_smith="Ann")
    faults = judge.judge([sent], "k")[0].faults
    assert "ann" not in repr(faults).lower()
    assert {fault.loc for fault in faults} == {
        ("properties",), ("properties", "email"), ("properties", "by_person", "*"), ("properties", "list", 1),
    }  # fmt: skip


def test_a_missing_property_is_told_by_its_own_name(tmp_path: Path) -> None:
    schema = {"title": "Home", "properties": {"properties": {"required": ["plan"]}}}
    assert told(Judge(registry(tmp_path, {"home/1.0.json": schema})), event()) == [("properties", "plan")]


def test_so_many_violations_are_told_and_always_the_same(tmp_path: Path) -> None:
    names = [f"p{number:02}" for number in range(MOST_TOLD + 1)]
    schema = of_properties("Home", **{one: {"type": "null"} for one in names})
    judge = Judge(registry(tmp_path, {"home/1.0.json": schema}))
    sent = event(**dict.fromkeys(names, 1))
    first = told(judge, sent)
    assert first == [("properties", name) for name in names[:MOST_TOLD]]
    assert told(judge, {**sent, "properties": dict(reversed(sent["properties"].items()))}) == first
    assert len(told(judge, event(**dict.fromkeys(names[:MOST_TOLD], 1))) or []) == MOST_TOLD


def test_every_rule_of_the_validator_is_told_as_a_sentence(tmp_path: Path) -> None:
    broken: dict[str, tuple[Any, Any]] = {
        "type": ({"type": ["string", "null"]}, 1),
        "anyOf": ({"anyOf": [{"type": "null"}, {"type": "object"}]}, 1),
        "oneOf": ({"oneOf": [True, True]}, 1),
        "not": ({"not": {}}, 1),
        "contains": ({"contains": {"type": "string"}}, [1]),
        "uniqueItems": ({"uniqueItems": True}, [1, 1]),
        "multipleOf": ({"multipleOf": 0.5}, 0.7),
        "minimum": ({"minimum": 5}, 1),
        "falseSchema": (False, 1),
        "propertyNames": ({"propertyNames": {"maxLength": 1}}, {"ann": 1}),
        "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, {"a": 1}),
        "unevaluatedProperties": ({"unevaluatedProperties": False}, {"ann": 1}),
    }
    schema = of_properties("Home", **{name: rule for name, (rule, _) in broken.items()})
    judge = Judge(registry(tmp_path, {"home/1.0.json": schema}))
    for name, (_, value) in broken.items():
        faults = judge.judge([event(**{name: value})], "k")[0].faults
        assert len(faults) == 1, name
        assert faults[0].message.endswith("(version 1.0 of the schema)."), name
        assert "Could not be judged" not in faults[0].message


def test_a_defect_of_the_judge_costs_no_event(tmp_path: Path) -> None:
    found = registry(tmp_path, FILES, "[[rules]]\nmode = 'enforce'")

    class Broken:
        def is_valid(self, _: Any) -> bool:
            raise ValueError("ann@example.org")

    kept = found.events["Home"][Version(2, 0)]._replace(validator=Broken())  # type: ignore[arg-type]
    broken = found._replace(events={"Home": {Version(2, 0): kept}})
    verdict = Judge(broken).judge([event(plan=1)], "k")[0]
    assert not verdict.failed
    assert verdict.faults == [judging.Fault("schema_violation", (), "Could not be judged: ValueError.")]
