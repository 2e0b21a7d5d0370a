"""Rules as data: what is right is read, and what is wrong is told by rule and field before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.measure.alerts import rules_file
from functions.measure.alerts.machine import Pace
from functions.measure.alerts.rules import MODELS
from functions.measure.metrics import definitions
from functions.shared.errors import Misconfigured

KNOWN = definitions.load()
METRIC = {
    "kind": '"metric"', "severity": '"warning"', "summary": '"Too many."', "metric": '"events"', "interval": '"1m"',
    "op": '">"', "threshold": "5",
}  # fmt: skip


def rule(**changed: str | None) -> str:
    lines = {**METRIC, **changed}
    return "[rules.many]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items() if value is not None)


def test_the_shipped_rules_are_sound_and_of_every_kind() -> None:
    rules = rules_file.load(KNOWN)
    assert {one.kind for one in rules.values()} == set(MODELS)
    assert all(one.condition() for one in rules.values())


def test_a_rule_says_its_times_and_what_it_is_about() -> None:
    one = rules_file.parse(rule(by='["platform"]', repeat_after_seconds="60"), KNOWN)["many"]
    assert one.pace() == Pace(0, 60_000_000_000)
    assert one.condition() == "events at 1m > 5, for a window"
    assert one.missing == "keep"


def test_a_file_without_rules_is_right_too() -> None:
    assert rules_file.parse("", KNOWN) == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"thresold": "5"}, "thresold is not known; did you mean threshold?"),
        ({"metric": '"event"'}, "metric: there is no published metric event; did you mean events?"),
        ({"metric": '"bounces"'}, "metric: there is no published metric bounces"),
        ({"interval": "0"}, "interval: Input should be '1m', '1h' or '1d'"),
        ({"interval": '"5m"'}, "interval: Input should be '1m', '1h' or '1d'"),
        ({"metric": '"bounce_rate"'}, "interval: bounce_rate is measured at 1h, 1d, not 1m"),
        ({"op": '"=>"'}, "op: Input should be"),
        ({"threshold": '"much"'}, "threshold: Input should be a valid number"),
        ({"threshold": "nan"}, "threshold: Input should be a finite number"),
        ({"threshold": None}, "threshold: Field required"),
        ({"for_windows": "0"}, "for_windows: Input should be greater than or equal to 1"),
        ({"for_seconds": "5"}, "for_seconds is not known; did you mean"),
        ({"repeat_after_seconds": "-1"}, "repeat_after_seconds: Input should be greater than or equal to 0"),
        ({"repeat_after_seconds": '"4h"'}, "repeat_after_seconds: Input should be a valid integer"),
        ({"severity": '"bad"'}, "severity: Input should be 'info', 'warning' or 'critical'"),
        ({"routes": '["mail"]'}, "routes.0: Input should be 'sns', 'webhook' or 'file'"),
        ({"missing": '"fire"'}, "missing: Input should be 'keep', 'ok' or 'firing'"),
        ({"tags": '{ country = "DE" }'}, "tags: events at 1m is measured by platform"),
        ({"by": '["country"]'}, "by: events at 1m is measured by platform"),
        ({"by": '["platform"]', "tags": '{ platform = "web" }'}, "by: platform is among tags too"),
        ({"kind": '"metrics"'}, "kind: 'metrics' is not known; one of metric, anomaly"),
        ({"kind": None}, "kind: is missing; one of"),
    ],
)
def test_a_mistake_is_told_with_line_rule_and_field(changed: dict[str, str | None], told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        rules_file.parse(rule(**changed), KNOWN)
    assert f"alerts.toml:1 rule many: {told}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[rules.many\n", "alerts.toml: "),
        ("[rule.many]\n", "alerts.toml: rule is not known; only [rules.NAME] is"),
        ("rules = 5\n", "alerts.toml: rules are to be [rules.NAME]"),
        ("[rules]\nmany = 5\n", "rule many: is no table"),
        ("[rules.Many]\n", "alerts.toml:1 rule Many: a name is lower-case letters"),
        (
            '[rules.a]\nkind = "quality"\nseverity = "info"\nsummary = "x"\nat_least = "low"\nseries = "qality"\n',
            "series: there is no published metric qality",
        ),
        (
            '[rules.a]\nkind = "anomaly"\nseverity = "info"\nsummary = "x"\nat_least = "low"\nmetric = "nothing"\n',
            "metric: there is no published metric nothing",
        ),
        (
            '[rules.a]\nkind = "lag"\nseverity = "info"\nsummary = "x"\nstage = "late"\nseconds = 0\n',
            "'stored' or 'measured'; alerts.toml:1 rule a: seconds: Input should be greater than 0",
        ),
    ],
)
def test_what_is_wrong_with_the_file_is_told(text: str, told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        rules_file.parse(text, KNOWN)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.toml cannot be read"):
        rules_file.load(KNOWN, tmp_path / "none.toml")
