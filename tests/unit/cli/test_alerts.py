"""weir alerts: what it prints and its exit status, over a book that is a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from functions.measure.alerts.book import Entry, Standing
from functions.measure.alerts.machine import Alert
from functions.measure.alerts.silences import Silence
from functions.shared import wiring
from functions.shared.domain.notification import Notification
from functions.shared.errors import NotFound, SinkRefused, StoreUnavailable
from infra.cli import alerts
from infra.cli.alerting import asking

SECOND = 1_000_000_000
NOW = 1_767_225_600 * SECOND
ENTRY = Entry(
    "a1", 1, "c1", "firing", "firing", True, "", "dead_letters", {"platform": "web"}, "critical", "Dead.", "some", (),
    3.0, NOW, NOW, NOW, NOW,
)  # fmt: skip
FIRING = Standing(
    "a1", "dead_letters", {}, 1, Alert("firing", NOW, NOW, NOW), "critical", "Dead.", "some", (), 3.0, "", NOW
)


class Book:
    def __init__(self) -> None:
        self.kept: list[Silence] = []

    def standing(self) -> dict[str, Standing]:
        return {"a1": FIRING}

    def history(self, limit: int, rule: str) -> list[tuple[Entry, dict[str, str]]]:
        rows = [(ENTRY, {"sns": "sent", "webhook": "failed"}), (ENTRY._replace(told=False, silence_id="s1"), {})]
        return rows[:limit] if rule in ("", "dead_letters") else []

    def silences(self) -> list[Silence]:
        return self.kept

    def silence(self, silence: Silence) -> None:
        self.kept.append(silence)

    def unsilence(self, silence_id: str) -> Silence:
        raise NotFound("no_such_silence", "There is no such silence.")


class Sink:
    def __init__(self, problem: str = "") -> None:
        self.problem, self.told = problem, list[Notification]()

    def send(self, told: Notification) -> None:
        if self.problem:
            raise SinkRefused(self.problem)
        self.told.append(told)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    kept = Book()
    monkeypatch.setattr(wiring, "alert_book", lambda: kept)
    monkeypatch.setattr(asking, "_as_the_stack", lambda: None)
    for name in ("WEIR_ALERTS_PATH", "WEIR_ALERTS_FILE", "WEIR_ALERTS_WEBHOOK_URL", "WEIR_ALERTS_SNS_TOPIC_ARN"):
        monkeypatch.delenv(name, raising=False)
    return kept


def weir(*arguments: str) -> Result:
    app = Typer()
    alerts.register(app)
    return CliRunner().invoke(app, ["alerts", *arguments])


def shown(*arguments: str) -> Any:
    result = weir(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_list_shows_each_rule_and_how_it_stands(book: Book) -> None:
    states = {one["rule"]: one["state"] for one in shown("list")["rules"]}
    assert (states["dead_letters"], states["batch_late"]) == ("firing", "ok")
    assert "firing since 2026-01-01T00:00:00Z" in weir("list").stdout


def test_history_says_whom_each_change_was_told(book: Book) -> None:
    told, silenced = weir("history").stdout.splitlines()
    assert told == "2026-01-01T00:00:00Z  firing       dead_letters platform=web (3): sns sent, webhook failed"
    assert silenced.endswith(": silenced")
    assert [one["routes"] for one in shown("history", "--limit", "1")["changes"]] == [
        {"sns": "sent", "webhook": "failed"}
    ]
    assert shown("history", "other")["changes"] == []


def test_a_silence_says_of_what_until_when_by_whom_and_why(book: Book) -> None:
    result = weir("silence", "dead_*", "--for", "2h", "--tag", "platform=web", "--by", "me", "--why", "known")
    assert result.exit_code == 0
    [kept] = book.kept
    assert (kept.rule, kept.tags, kept.said_by, kept.reason) == ("dead_*", {"platform": "web"}, "me", "known")
    assert kept.until - kept.since == 7_200 * SECOND
    assert kept.silence_id in result.stdout
    assert shown("silences")["silences"][0]["rule"] == "dead_*"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "Say either --for or --until."),
        (("--for", "2h", "--until", "2030-01-01T00:00:00Z"), "Say either --for or --until."),
        (("--for", "two hours"), "--for: 'two hours' is no span"),
        (("--until", "tomorrow"), "--until: 'tomorrow' is no RFC 3339 time"),
        (("--until", "2001-01-01T00:00:00Z"), "It is to end after it begins."),
        (("--for", "1d", "--tag", "web"), "--tag: 'web' is no tag"),
    ],
)
def test_a_silence_that_says_nothing_clear_is_refused(book: Book, given: tuple[str, ...], told: str) -> None:
    result = weir("silence", "x", "--why", "y", *given)
    assert result.exit_code == 1
    assert told in result.stderr
    assert book.kept == []


def test_a_silence_that_is_not_there_and_a_store_that_is_away_are_one_sentence(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = weir("unsilence", "none")
    assert (result.exit_code, result.stderr) == (1, "There is no such silence.\n")

    def away(*_: Any) -> None:
        raise StoreUnavailable("The store did not answer.")

    monkeypatch.setattr(book, "silences", away)
    result = weir("silences")
    assert (result.exit_code, result.stderr) == (1, "The store did not answer.\n")


def test_a_test_is_marked_as_one_and_says_of_each_route_whether_it_took_it(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    sinks = {"sns": Sink(), "file": Sink()}
    monkeypatch.setattr(wiring, "alert_sinks", lambda: sinks)
    assert shown("test", "dead_letters")["routes"] == {"sns": "taken", "file": "taken"}
    [told] = sinks["sns"].told
    assert (told.event, told.rule, told.severity) == ("test", "dead_letters", "critical")
    assert told.summary.startswith("This is a test, and nothing is wrong.")
    sinks["file"].problem = "It is full."
    result = weir("test")
    assert (result.exit_code, result.stdout) == (1, "sns: taken\nfile: It is full.\n")


def test_a_test_of_no_route_or_of_a_rule_that_is_not_there_fails(book: Book) -> None:
    wiring.alert_sinks.cache_clear()
    assert "No route is set up" in weir("test").stderr
    result = weir("test", "none")
    assert (result.exit_code, "There is no rule 'none'" in result.stderr) == (1, True)


def test_check_says_what_is_wrong_with_a_file(book: Book, tmp_path: Path) -> None:
    assert weir("check").stdout.endswith("rules, and nothing is wrong with them\n")
    file = tmp_path / "mine.toml"
    file.write_text('[rules.a]\nkind = "lag"\n')
    result = weir("check", str(file))
    assert result.exit_code == 1
    assert "mine.toml:1 rule a: severity: Field required" in result.stderr


def test_without_a_word_of_stores_those_of_the_stack_here_are_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os

    monkeypatch.setattr(os, "environ", {"WEIR_QUEUE": "sqs"})
    monkeypatch.setattr(asking, "ROOT", tmp_path)
    (tmp_path / ".weir").mkdir()
    running = {
        "variables": {"WEIR_CLICKHOUSE_URL": "http://127.0.0.1:5", "WEIR_QUEUE": "nats"},
        "alert_topic": "arn:aws:sns:us-east-1:000000000000:weir-alerts",
        "emulator_url": "http://127.0.0.1:6",
    }
    (tmp_path / ".weir" / "stack.json").write_text(json.dumps(running))
    as_the_stack: Callable[[], None] = asking._as_the_stack
    as_the_stack()
    assert os.environ["WEIR_CLICKHOUSE_URL"] == "http://127.0.0.1:5"
    assert os.environ["WEIR_QUEUE"] == "sqs"
    assert os.environ["WEIR_ALERTS_SNS_TOPIC_ARN"] == running["alert_topic"]
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:6"
