"""One log line and one metrics line an invocation, each of which can be found and counted."""

import io
import json
import re

import pytest

from functions.enrich.pipeline import build_steps
from functions.shared.metric_names import DIMENSION, KEY, METRICS, NAMESPACE, UNITS
from functions.shared.observe import Observer
from tests.support.template import ROOT, functions, resources


def test_the_line_of_a_request_can_be_found_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    # A logger is made once a name and keeps its first stream.
    Observer("requests", stream).invocation("/api/v1/events", "r-1", {"requests": 1}, {"handle": 1.235}, 200)
    told, metrics = json.loads(stream.getvalue()), json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("message", "service", "request_id", "status")} == {
        "message": "/api/v1/events",
        "service": "requests",
        "request_id": "r-1",
        "status": 200,
    }
    assert (told["counts"], told["step_ms"]) == ({"requests": 1}, {"handle": 1.235})
    assert (metrics["Requests"], metrics["HandleTime"]) == ([1.0], [1.235])


def test_the_line_names_the_trace_that_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    observer = Observer("traces", stream)
    observer.invocation("event", "r-1", {}, {})
    # As Lambda sets it for each invocation.
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
    observer.invocation("event", "r-2", {}, {})
    named = [json.loads(line).get("xray_trace_id") for line in stream.getvalue().splitlines()]
    assert named == [None, "1-5759e988-bd862e3fe1be46a994272793"]


def test_the_failures_of_a_step_are_a_metric_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    Observer("steps", stream).invocation("enrich", "r-1", {"events": 3, "geo_failed": 2}, {})
    assert json.loads(stream.getvalue())["counts"]["geo_failed"] == 2
    assert json.loads(capsys.readouterr().out)["GeoFailed"] == [2.0]


def test_a_failure_is_told_without_the_values_it_carries() -> None:
    stream = io.StringIO()
    Observer("failures", stream).failure("a block", ValueError("someone@example.com"))
    assert "ValueError" in stream.getvalue()
    assert "someone" not in stream.getvalue()


def test_what_is_not_declared_is_logged_and_is_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    Observer("undeclared", stream).invocation("enrich", "r-1", {"events": 3, "curiosities": 2}, {"ponder": 1.5})
    told, metrics = json.loads(stream.getvalue()), json.loads(capsys.readouterr().out)
    assert (told["counts"]["curiosities"], told["step_ms"]["ponder"]) == (2, 1.5)
    assert not {"Curiosities", "PonderTime"} & set(metrics)


def test_a_metric_has_its_namespace_its_one_dimension_and_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    Observer("gauges", io.StringIO()).gauges({"UnmeasuredSeconds": 1.5, "LedgerDifference": 0})
    line = json.loads(capsys.readouterr().out)
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    assert (declared["Namespace"], declared["Dimensions"], line[DIMENSION]) == (NAMESPACE, [[DIMENSION]], "gauges")
    assert {one["Name"]: one["Unit"] for one in declared["Metrics"]} == {
        "UnmeasuredSeconds": "Seconds",
        "LedgerDifference": "Count",
    }


def test_the_key_of_one_refusal_is_not_told_with_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    observer = Observer("refusals", stream)
    observer.invocation("event", "r-1", {"requests_limited": 1}, {}, 429, "live_a")
    observer.invocation("event", "r-2", {"requests_limited": 1}, {}, 429)
    logged = [json.loads(line) for line in stream.getvalue().splitlines()]
    measured = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for lines in (logged, measured):
        assert [line.get(KEY) for line in lines] == ["live_a", None]


def test_a_step_can_fail_by_the_name_that_its_metric_has() -> None:
    steps = {"".join(part.capitalize() for part in step.name.split("_")) for step in build_steps(None)}
    assert {f"{step}Failed" for step in steps} == {name for name in UNITS if name.endswith("Failed")} - {"Failed"}


def test_the_traces_of_the_manual_have_the_names_of_the_functions_and_of_the_gateways_stage() -> None:
    manual = (ROOT / "docs/operating.md").read_text().partition("**Traces**")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(weir[-/]\w+)`", manual))
    api = resources("AWS::Serverless::Api")["WeirApi"]["Properties"]
    assert (api["Name"], api["StageName"]) == ({"Ref": "AWS::StackName"}, {"Ref": "Environment"})
    assert {one["FunctionName"]["Fn::Sub"] for one in functions().values()} == {
        f"${{AWS::StackName}}-{stage}" for stage in functions()
    }
    assert named == {"weir/production", *(f"weir-{stage}" for stage in functions())}


def test_the_metrics_of_the_manual_are_those_that_there_are() -> None:
    manual = (ROOT / "docs/operating.md").read_text().partition("## Watching it on AWS")[2].partition("\n## ")[0]
    rows = [line for line in manual.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows == [f"| `{one.name}` | {one.unit} | {', '.join(one.stages)} | {one.meaning} |" for one in METRICS]
    assert len(UNITS) == len(METRICS)
