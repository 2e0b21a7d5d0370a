"""One log line and one metrics line an invocation, each of which can be found and counted."""

import io
import json

import pytest

from functions.shared.observe import Observer


def test_the_line_of_a_request_can_be_found_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    # A logger is made once a name and keeps its first stream.
    Observer("requests", stream).request("/api/v1/events", "r-1", 1.23456, 200)
    told, metrics = json.loads(stream.getvalue()), json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("message", "service", "request_id", "status")} == {
        "message": "/api/v1/events",
        "service": "requests",
        "request_id": "r-1",
        "status": 200,
    }
    assert (told["counts"], told["step_ms"]) == ({"requests": 1}, {"handle": 1.235})
    assert (metrics["Requests"], metrics["HandleTime"]) == ([1.0], [1.235])


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
