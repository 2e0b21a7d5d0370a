"""weir schemas: what it says of a registry and of events, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from infra.cli import schemas
from infra.cli.registry import inferring
from schemas.owned.registry import load
from tests.unit.schemas.owned.registries import of_properties, written

HOME = of_properties("Home", plan={"enum": ["free", "pro"]})
BUY = of_properties("Buy", amount={"type": "number"})
MODES = "[[rules]]\nevent = 'Buy'\nmode = 'enforce'\n[[rules]]\nkey = 'live_old'\nmode = 'off'\n"


def weir(*arguments: str, given: str = "") -> Result:
    app = Typer()
    app.callback()(lambda: None)
    schemas.register(app)
    return CliRunner().invoke(app, ["schemas", *arguments], input=given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "registry", {"home/1.0.json": HOME, "buy/1.0.json": BUY}, MODES)


def event(name: str, **properties: Any) -> str:
    return json.dumps({"event_type": "t", "event_name": name, "platform": "web", "properties": properties})


def events(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_each_event_is_judged_and_told_by_its_line(tmp_path: Path, folder: Path) -> None:
    sent = events(tmp_path, event("Home", plan="pro"), "", event("Home", plan="gold"), event("Else"), event("Buy"))
    done = weir("check", sent, "--registry", str(folder))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "line 3 Home: warn: properties.plan: Is none of the values that the schema has (version 1.0 of the schema).",
        "4 events: 2 hold to their schema, 1 have none, 1 would be flagged, 0 would fail.",
    ]


@pytest.mark.parametrize(
    ("line", "code", "key"),
    [
        (event("Buy", amount="1"), "schema_violation", ""),
        ("{", "malformed_json", ""),
        ('{"event_name":"Home"}', "required", ""),
        ('{"event_name":"Home"}', "required", "live_old"),
    ],
)
def test_an_event_that_would_fail_ends_with_status_1(
    tmp_path: Path, folder: Path, line: str, code: str, key: str
) -> None:
    sent = events(tmp_path, event("Home"), line)
    done = weir("check", sent, "--registry", str(folder), "--key", key, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["failed"], told["told"][0]["line"], told["told"][0]["code"]) == (1, 2, code)


def test_it_is_judged_as_if_a_key_had_sent_it(tmp_path: Path, folder: Path) -> None:
    sent = events(tmp_path, event("Home", plan=1))
    done = weir("check", sent, "--registry", str(folder), "--key", "live_old", "--json")
    assert (done.exit_code, json.loads(done.stdout)["warned"]) == (0, 0)


def test_the_first_violations_are_told_and_all_are_counted(tmp_path: Path, folder: Path) -> None:
    sent = events(tmp_path, *[event("Home", plan=1)] * 1_001)
    told = json.loads(weir("check", sent, "--registry", str(folder), "--first", "2", "--json").stdout)
    assert (told["events"], told["warned"], [one["line"] for one in told["told"]]) == (1_001, 1_001, [1, 2])


def test_events_come_from_a_pipe_too(folder: Path) -> None:
    done = weir("check", "-", "--registry", str(folder), "--json", given=event("Home") + "\n")
    assert json.loads(done.stdout)["valid"] == 1


def test_a_registry_that_breaks_its_promise_ends_with_status_1(folder: Path) -> None:
    assert weir("check", "--registry", str(folder)).stdout == "2 events have schemas; all is well.\n"
    written(folder, {"home/1.1.json": of_properties("Home", plan={"enum": ["free"]}), "buy/2.0.json": {"title": "Buy"}})
    done = weir("check", "--registry", str(folder))
    assert done.exit_code == 1
    assert done.stdout.startswith("home/1.1.json #/properties/properties/properties/plan/enum: 1 of the values")
    (found,) = json.loads(weir("check", "--registry", str(folder), "--json").stdout)["breaks"]
    assert (found["rule"], found["older"]) == ("enum", "1.0")


def test_a_mistake_in_the_registry_is_told_and_nothing_else(folder: Path) -> None:
    written(folder, {"home/1.1.json": {"title": "Home", "typ": "object"}})
    done = weir("check", "--registry", str(folder))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "home/1.1.json #: typ is not known; did you mean type?" in done.stderr


def test_what_there_is_is_listed(folder: Path) -> None:
    assert weir("list", "--registry", str(folder)).stdout.split() == ["enforce", "1.0", "Buy", "warn", "1.0", "Home"]
    (buy, home) = json.loads(weir("list", "--registry", str(folder), "--key", "live_old", "--json").stdout)["schemas"]
    assert (buy["mode"], home["files"]) == ("off", ["home/1.0.json"])
    assert weir("list").exit_code == 0


def test_a_draft_is_made_of_samples(tmp_path: Path) -> None:
    sent = events(tmp_path, event("Home", plan="pro"), event("Home", plan="free", n=1), event("Buy", amount=1.5))
    home = json.loads(weir("infer", sent, "--name", "Home").stdout)
    assert (home["title"], home["properties"]["properties"]["required"]) == ("Home", ["plan"])
    assert set(json.loads(weir("infer", sent).stdout)) == {"Home", "Buy"}
    into = tmp_path / "new"
    assert weir("infer", sent, "--into", str(into)).exit_code == 0
    assert load(into).events.keys() == {"Home", "Buy"}
    assert json.loads(weir("check", sent, "--registry", str(into), "--json").stdout)["valid"] == 3


def test_a_draft_replaces_nothing(tmp_path: Path, folder: Path) -> None:
    sent = events(tmp_path, event("Home", plan=1), event("Else"))
    done = weir("infer", sent, "--into", str(folder))
    assert (done.exit_code, "is there already" in done.stderr) == (1, True)
    assert load(folder).events["Home"].keys() == {(1, 0)}
    assert not (folder / "else").exists()


def test_what_is_no_event_is_passed_over_and_counted(tmp_path: Path) -> None:
    done = weir("infer", events(tmp_path, "{", event("Home")))
    assert done.stderr == "1 lines are no valid events and were passed over.\n"
    assert done.exit_code == 0
    assert "There is no event named 'Buy'" in weir("infer", events(tmp_path, event("Home")), "--name", "Buy").stderr


def test_so_many_names_and_no_more(tmp_path: Path) -> None:
    lines = [event(f"e{number}") for number in range(inferring.MOST_NAMES + 1)]
    assert weir("infer", events(tmp_path, *lines[:-1])).exit_code == 0
    assert "choose one with --name" in weir("infer", events(tmp_path, *lines)).stderr
    assert weir("infer", events(tmp_path, *lines), "--name", "e0").exit_code == 0


def test_the_help_says_how_to_use_it() -> None:
    assert "modes.toml" in weir("--help").stdout
    assert "weir schemas check events.ndjson" in weir("check", "--help").stdout
    assert "weir schemas infer events.ndjson" in weir("infer", "--help").stdout
    assert weir("check", "/no/such/file").exit_code == 1
