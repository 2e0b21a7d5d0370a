"""A registry is read whole or not at all, and every mistake in it is told with its file and place."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schemas.owned import registry as registries
from schemas.owned.compatibility import breaks
from schemas.owned.references import MOST_NODES
from schemas.owned.registry import RegistryError, load, slug
from schemas.owned.versions import Version, chosen, parse
from tests.unit.schemas.owned.registries import of_properties, written

GOOD = of_properties("Home", plan={"enum": ["free", "pro"]})


def faults(folder: Path, files: dict[str, Any], modes: str = "") -> list[str]:
    with pytest.raises(RegistryError) as raised:
        load(written(folder, files, modes))
    return raised.value.faults


def test_what_is_shipped_can_be_read_and_breaks_no_promise() -> None:
    found = load()
    assert {"Home", "Buy"} <= found.events.keys()
    for versions in found.events.values():
        order = sorted(versions)
        for older, newer in pairwise(order):
            if older.major == newer.major:
                assert breaks(versions[older].document, versions[newer].document) == []


def test_a_folder_without_schemas_is_right_too(tmp_path: Path) -> None:
    assert load(tmp_path).events == {}


def test_versions_are_kept_by_the_title(tmp_path: Path) -> None:
    found = load(written(tmp_path, {"home/1.0.json": GOOD, "home/1.10.json": GOOD, "home/1.9.json": GOOD}))
    assert sorted(found.events["Home"]) == [Version(1, 0), Version(1, 9), Version(1, 10)]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{", "x/1.0.json line 1: "),
        ("[]", "x/1.0.json is to be a JSON object"),
        ({}, "x/1.0.json #/title: is to be the event's name"),
        ({"title": "X", "type": "strin"}, "x/1.0.json #/type: "),
        ({"title": "X", "allOf": 5}, "x/1.0.json #/allOf: "),
        ({"title": "X", "propertys": {}}, "x/1.0.json #: propertys is not known; did you mean properties?"),
        (
            {"title": "X", "properties": {"a": {"minlength": 1}}},
            "x/1.0.json #/properties/a: minlength is not known; did you mean minLength?",
        ),
        ({"title": "X", "$schema": "http://json-schema.org/draft-07/schema#"}, "x/1.0.json #/$schema: only https://"),
        ({"title": "X", "properties": {"a": {"pattern": "(?=a)b"}}}, "x/1.0.json #/properties/a/pattern: "),
        ({"title": "X", "pattern": "(a{1000}){1000}"}, "x/1.0.json #/pattern: "),
        ({"title": "X", "format": "emial"}, "x/1.0.json #/format: "),
        ({"title": "X", "$ref": "https://example.org/schema"}, "x/1.0.json #/$ref: only references into"),
        ({"title": "X", "$ref": "file:///etc/passwd"}, "x/1.0.json #/$ref: only references into"),
        ({"title": "X", "$ref": "#/$defs/none"}, "x/1.0.json #/$ref: there is no #/$defs/none"),
        ({"title": "X", "allOf": [{"$ref": "#"}]}, "x/1.0.json #/allOf/0/$ref: # leads back to itself"),
        ({"title": "X", "$dynamicRef": "#a"}, "x/1.0.json #: $dynamicRef is not known"),
    ],
)
def test_a_mistake_in_a_schema_is_told_with_its_file_and_place(tmp_path: Path, schema: Any, told: str) -> None:
    (fault,) = faults(tmp_path, {"x/1.0.json": schema})
    assert fault.startswith(told)


def test_references_that_go_round_are_refused(tmp_path: Path) -> None:
    schema = {
        "title": "X",
        "$ref": "#/$defs/a",
        "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}},
    }
    (fault,) = faults(tmp_path, {"x/1.0.json": schema})
    assert fault.endswith("#/$defs/a leads back to itself")


def test_references_that_multiply_are_refused(tmp_path: Path) -> None:
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(30)}
    schema = {"title": "X", "$ref": "#/$defs/s0", "$defs": {**steps, "s30": {}}}
    assert faults(tmp_path, {"x/1.0.json": schema}) == [
        f"x/1.0.json more than {MOST_NODES} schemas, references followed"
    ]


def test_a_reference_beside_other_keywords_counts_with_them(tmp_path: Path) -> None:
    schema = {"title": "X", "minimum": 2, "$ref": "#/$defs/a~1b", "$defs": {"a/b": {"maximum": 5}}}
    validator = load(written(tmp_path, {"x/1.0.json": schema})).events["X"][Version(1, 0)].validator
    assert [validator.is_valid(number) for number in (1, 2, 5, 6)] == [False, True, True, False]


@pytest.mark.parametrize("name", ["1.json", "v1.0.json", "01.0.json", "1.0.0.json"])
def test_a_file_is_named_by_its_version(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path, {f"x/{name}": GOOD}) == [f"x/{name} is to be named by its version, such as 1.0.json"]


def test_an_event_has_one_folder_and_a_folder_one_event(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, {"a/1.0.json": GOOD, "b/1.0.json": GOOD})
    assert fault.startswith("b/1.0.json #/title: is of 'Home', and a/1.0.json of 'Home'")
    (fault,) = faults(tmp_path / "other", {"a/1.0.json": GOOD, "a/1.1.json": {"title": "Else"}})
    assert fault.startswith("a/1.1.json #/title: is of 'Else', and a/1.0.json of 'Home'")


def test_a_file_is_bounded(tmp_path: Path) -> None:
    text = json.dumps(GOOD)
    fits = text + " " * (registries.MOST_BYTES - len(text))
    assert load(written(tmp_path, {"x/1.0.json": fits})).events
    (fault,) = faults(tmp_path, {"x/1.0.json": fits + " "})
    assert fault == f"x/1.0.json is larger than {registries.MOST_BYTES} bytes"


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        ("[[rules", "modes.toml: "),
        ('mode = "warn"', "modes.toml: mode is not known"),
        ("\n[[rules]]\nmode = 'loud'", "modes.toml:2 mode: "),
        ("[[rules]]\nevent = 'Home'", "modes.toml:1 mode: "),
        ("[[rules]]\nmode = 'off'\nevnt = 'Home'", "modes.toml:1 evnt: "),
        ("[[rules]]\nmode = 'off'\nevent = 'Hoem'", "modes.toml:1 event: no schema is of 'Hoem'; did you mean 'Home'?"),
        ("[[rules]]\nmode = 'off'\n[[rules]]\nmode = 'warn'", "modes.toml:3: another rule is about the same"),
    ],
)
def test_a_mistake_in_the_modes_is_told_with_its_line(tmp_path: Path, modes: str, told: str) -> None:
    (fault,) = faults(tmp_path, {"x/1.0.json": GOOD}, modes)
    assert fault.startswith(told)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, {"a/1.0.json": "{", "b/x.json": GOOD}, "[[rules]]\nmode = 'loud'")) == 3


def test_the_version_an_event_names_is_taken() -> None:
    known = [Version(1, 0), Version(1, 10), Version(1, 9), Version(2, 0)]
    assert [chosen(said, known) for said in (None, "1.9", "1", 1, "2", 2)] == [
        Version(2, 0), Version(1, 9), Version(1, 10), Version(1, 10), Version(2, 0), Version(2, 0),
    ]  # fmt: skip
    assert [chosen(said, known) for said in ("3.0", "", "1.", "1.1", True, 1.0, {}, "newest", "1.0\n")] == [None] * 9
    assert parse("1.0\n") is None


def test_a_folder_is_named_after_its_event() -> None:
    assert [slug(name) for name in ("Order Completed", "/a/b.html", "…")] == ["order-completed", "a-b-html", "event"]
