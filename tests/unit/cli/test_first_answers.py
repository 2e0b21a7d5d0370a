"""What the first run tells of the sample, from what the API answers."""

from __future__ import annotations

import subprocess
from typing import Any

import httpx
import pytest
from rich.console import Console

from infra.cli import client, first_answers

SPAN = {"from": "2015-05-17T00:00:00Z", "to": "2015-05-19T00:00:00Z"}


def series(*points: tuple[str, float]) -> dict[str, Any]:
    return {"series": [{"tags": {}, "points": [{"timestamp": at, "value": value} for at, value in points]}]}


def anomaly(score: float, **tags: str) -> dict[str, Any]:
    at = f"2015-05-17T{score * 10:02.0f}:00:00Z"
    told = {"timestamp": at, "metric": "events", "value": 5.0, "expected": 50.25, "severity": "high"}
    return {**told, "tags": {"environment": "live", **tags}, "score": score}


ANSWERS: dict[str, Any] = {
    "/api/v1/metrics/sessions": series(("17", 300.0), ("18", 100.0)),
    "/api/v1/metrics/bounce_rate": series(("17", 0.5), ("18", 0.1)),
    "/api/v1/paths": {"paths": [{"path": ["/a"], "sessions": 9}, {"path": ["/b", "/c"], "sessions": 1_234}]},
    "/api/v1/metrics/events": series(("10h", 7.0), ("11h", 1_007.0), ("12h", 7.0)),
    "/api/v1/anomalies": {
        "anomalies": [anomaly(0.1), anomaly(0.9, platform="web"), anomaly(0.2), anomaly(0.3)],
        "has_more": False,
    },
}


def reader(answers: dict[str, Any], status: int = 200) -> httpx.Client:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=answers[request.url.path])

    return httpx.Client(transport=httpx.MockTransport(handler), base_url="http://weir.test")


def test_the_bounce_rate_is_of_all_sessions_and_not_of_days() -> None:
    told = list(first_answers.answers(reader(ANSWERS), SPAN))
    assert told[0] == "sessions       400, of which 40.0% are of one event (bots left out)"


def test_the_commonest_path_goes_somewhere_and_the_busiest_hour_has_most_events() -> None:
    told = list(first_answers.answers(reader(ANSWERS), SPAN))
    assert told[1:3] == [
        "commonest path /b → /c (1,234 sessions)",
        "busiest hour   11h with 1,007 events",
    ]


def test_of_the_anomalies_the_three_strongest_are_told() -> None:
    told = list(first_answers.answers(reader(ANSWERS), SPAN))
    assert told[3:] == [
        "anomalies      4, the strongest:",
        "               2015-05-17T09:00:00Z events (platform web) 5 instead of 50.25, high",
        "               2015-05-17T03:00:00Z events 5 instead of 50.25, high",
        "               2015-05-17T02:00:00Z events 5 instead of 50.25, high",
    ]


def test_a_store_of_nothing_but_bots_and_no_anomaly_has_little_to_tell() -> None:
    nothing = {path: {"series": [], "paths": [], "anomalies": [], "has_more": False} for path in ANSWERS}
    assert list(first_answers.answers(reader(nothing), SPAN)) == ["anomalies      0"]


def test_a_batch_that_did_not_end_well_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "The store is away.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    events = {"/api/v1/events": {"events": [{"timestamp": "2015-05-17T10:05:03Z"}]}}
    with pytest.raises(client.CommandError, match=r"^The store is away\.$"):
        first_answers.show(reader(events), {}, Console(stderr=True))


def test_the_days_of_the_events_are_measured_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    events = {"/api/v1/events": {"events": [{"timestamp": "2015-05-17T10:05:03Z"}]}}
    first_answers.show(reader({**ANSWERS, **events}), {}, Console(stderr=True, soft_wrap=True))
    assert commands[0][-2:] == ["--from", "2015-05-17T00:00:00Z"]
    assert "sessions       400" in capsys.readouterr().err
