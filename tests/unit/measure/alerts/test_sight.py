"""What rules see in windows and judgements."""

from __future__ import annotations

import pytest

from functions.measure.alerts import rules_file, sight
from functions.measure.alerts.machine import Missing, Seen
from functions.measure.alerts.rules import AnomalyRule, MetricRule, Operator, Rule
from functions.measure.alerts.sight import Judged, Window
from functions.measure.alerts.silences import Silence, silencing
from functions.measure.metrics import definitions

LIVE = '{"environment":"live"}'
WEB = '{"environment":"live","platform":"web"}'
IOS = '{"environment":"live","platform":"ios"}'


def metric(**changed: object) -> MetricRule:
    given = {"kind": "metric", "severity": "info", "summary": "x", "metric": "events", "interval": "1m", "op": ">"}
    return MetricRule.model_validate({**given, "threshold": 10, **changed})


def view(rule: MetricRule, *values: float | None, tags: str = LIVE) -> Seen:
    """Of windows 0, 1, 2, …, of which the last is the newest; None is a window that is not there."""
    windows = [Window("events", "1m", tags, ts, value) for ts, value in enumerate(values) if value is not None]
    [seen] = sight.over_threshold(rule, windows, len(values) - 1, 1).values()
    return seen


@pytest.mark.parametrize(
    ("op", "breaches"),
    [(">", {11}), (">=", {10, 11}), ("<", {9}), ("<=", {9, 10}), ("==", {10}), ("!=", {9, 11})],
)
def test_each_comparison(op: Operator, breaches: set[int]) -> None:
    assert {value for value in (9, 10, 11) if view(metric(op=op), value).verdict == "breach"} == breaches


def test_all_windows_that_are_asked_for_have_to_breach_and_the_newest_says_whether_it_does() -> None:
    rule = metric(for_windows=3)
    assert view(rule, 11, 11, 12) == Seen("breach", True, 12)
    assert view(rule, 5, 11, 12) == Seen("breach", False, 12)
    assert view(rule, 11, 11, 5) == Seen("clear", False, 5)


@pytest.mark.parametrize(
    ("missing", "newest", "between"),
    [
        ("keep", Seen("missing", False), Seen("breach", False, 11)),
        ("ok", Seen("clear", False), Seen("breach", False, 11)),
        ("firing", Seen("breach", True), Seen("breach", True, 11)),
    ],
)
def test_a_window_that_is_not_there_is_what_the_rule_says_it_is(missing: Missing, newest: Seen, between: Seen) -> None:
    rule = metric(for_windows=3, missing=missing)
    assert view(rule, 11, 11, None) == newest
    assert view(rule, 11, None, 11) == between


def test_a_rule_is_about_its_own_groups_alone() -> None:
    windows = [Window("events", "1m", tags, 0, 50) for tags in (LIVE, WEB, IOS, '{"environment":"test"}')]
    windows += [Window("revenue", "1m", LIVE, 0, 50), Window("events", "1h", LIVE, 0, 50)]
    assert set(sight.over_threshold(metric(), windows, 0, 1)) == {LIVE}
    assert set(sight.over_threshold(metric(tags={"platform": "web"}), windows, 0, 1)) == {WEB}
    assert set(sight.over_threshold(metric(by=("platform",)), windows, 0, 1)) == {WEB, IOS}
    assert set(sight.over_threshold(metric(tags={"environment": "test"}), windows, 0, 1)) == {'{"environment":"test"}'}


def test_a_series_is_seen_by_its_newest_judgement() -> None:
    rule = AnomalyRule(kind="anomaly", severity="info", summary="x", at_least="medium", for_windows=2)

    def judged(ts: int, severity: str, run: int) -> Judged:
        return Judged("events", "1h", LIVE, ts, 7.0, severity, run, run > 0)

    def seen(*windows: Judged) -> Seen:
        [found] = sight.not_as_expected(rule, windows).values()
        return found

    assert seen(judged(2, "none", 0), judged(1, "high", 5)) == Seen("clear", False, 7.0)
    assert seen(judged(2, "high", 1)) == Seen("breach", False, 7.0)
    assert seen(judged(2, "medium", 2)) == Seen("breach", True, 7.0)
    assert seen(judged(2, "low", 9)) == Seen("clear", True, 7.0)
    [tags] = sight.not_as_expected(rule, [judged(2, "high", 2)])
    assert tags == '{"environment":"live","interval":"1h","metric":"events"}'


@pytest.mark.parametrize(
    ("name", "tags", "is_about"),
    [
        ("dead_letters", {}, True),
        ("dead_letters", {"platform": "web"}, False),
        ("errors_share", {"environment": "live"}, True),
        ("errors_share", {"environment": "live", "platform": "web"}, False),
        ("unusual", {"environment": "live", "metric": "events", "interval": "1h"}, True),
        ("unusual", {"environment": "live", "metric": "quality.volume", "interval": "1h"}, False),
        ("unusual", {"environment": "live", "metric": "events", "interval": "1m"}, False),
        ("data_quality", {"environment": "live", "metric": "quality.volume", "interval": "1m"}, True),
        ("data_quality", {"environment": "test", "metric": "quality.volume", "interval": "1m"}, False),
    ],
)
def test_which_alerts_a_rule_can_have(name: str, tags: dict[str, str], is_about: bool) -> None:
    rules: dict[str, Rule] = rules_file.load(definitions.load())
    assert sight.concerns(rules[name], tags) is is_about


def test_a_silence_covers_its_rule_its_tags_and_its_time() -> None:
    silence = Silence("1", "lag_*", {"platform": "web"}, 10, 20, "me", "why")
    web = {"platform": "web", "environment": "live"}
    assert [at for at in (9, 10, 19, 20) if silence.covers("lag_late", web, at)] == [10, 19]
    assert not silence.covers("dead", web, 15)
    assert not silence.covers("lag_late", {"platform": "ios"}, 15)
    assert silencing([silence], "lag_late", web, 15) is silence
    assert silencing([silence], "lag_late", web, 25) is None
