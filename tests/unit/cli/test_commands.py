"""send, status, trace, migrate and the first run: what they print, and their exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from functions.shared.settings import RetentionSettings
from infra.cli import client, first_answers, first_run, migrate, send, status, trace
from infra.cli.importing import run as running
from infra.questdb.migrate import QuestDbError
from tests.unit.cli.weir_double import WeirDouble

OWN = "00000000-0000-4000-8000-000000000001"
EVENT = '{"event_type":"click","event_name":"buy","platform":"web"}'
Handler = Callable[[httpx.Request], httpx.Response]


def command(monkeypatch: pytest.MonkeyPatch, handler: Handler, *arguments: str, given: str | None = None) -> Result:
    app = Typer()
    for module in (send, status, trace, migrate):
        module.register(app)
    monkeypatch.setattr(
        client,
        "connect",
        lambda url, _: httpx.Client(transport=httpx.MockTransport(handler), base_url=url),
    )
    return CliRunner().invoke(app, list(arguments), input=given)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_KEY", "rk_mine")


def answering(code: int, content: Any, seen: list[httpx.Request] | None = None, **headers: str) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(code, json=content, headers=headers)

    return handler


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize("arguments", [("send", EVENT), ("status",), ("trace", OWN)])
def test_nothing_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    result = command(monkeypatch, refused, *arguments)
    assert result.exit_code == 1
    assert result.stderr == "Nothing answers at http://127.0.0.1:3000: is `weir up` running?\n"


def test_send_takes_an_argument_a_file_and_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(EVENT)
    for given, text in ((EVENT, None), (f"@{tmp_path / 'e.json'}", None), ("-", EVENT)):
        seen: list[httpx.Request] = []
        result = command(
            monkeypatch, answering(202, {"event_id": OWN, "status": "accepted"}, seen), "send", given, given=text
        )
        assert result.exit_code == 0
        assert json.loads(result.stdout)["event_id"] == OWN
        assert (seen[0].url.path, seen[0].content) == ("/api/v1/events", EVENT.encode())


def test_send_takes_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (f"[{EVENT}]", f'{{"events":[{EVENT}]}}'):
        seen: list[httpx.Request] = []
        result = command(monkeypatch, answering(202, {"received": 2, "rejected": 1}, seen), "send", text)
        assert (result.exit_code, seen[0].url.path) == (1, "/api/v1/events/batch")
        assert result.stderr == "1 of 2 events were rejected.\n"


@pytest.mark.parametrize(
    ("code", "status_text", "exit_code"), [(201, "stored", 0), (202, "accepted", 1), (422, "failed", 1)]
)
def test_send_and_wait(monkeypatch: pytest.MonkeyPatch, code: int, status_text: str, exit_code: int) -> None:
    seen: list[httpx.Request] = []
    result = command(
        monkeypatch, answering(code, {"event_id": OWN, "status": status_text}, seen), "send", EVENT, "--wait", "--json"
    )
    assert (result.exit_code, seen[0].url.params["wait"]) == (exit_code, "stored")
    assert json.loads(result.stdout)["status"] == status_text


def test_send_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = answering(503, {"detail": "The queue is away."}, **{"Retry-After": "2"})
    result = command(monkeypatch, away, "send", EVENT)
    assert (result.exit_code, result.stderr) == (
        1,
        "Weir answered 503: The queue is away. Send the same again in 2 s.\n",
    )


def test_what_is_not_weir_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = command(monkeypatch, lambda _: httpx.Response(200, text="<html>"), "status")
    assert result.exit_code == 1
    assert "not as Weir does" in result.stderr


def test_status(monkeypatch: pytest.MonkeyPatch) -> None:
    content = WeirDouble().status()
    good = command(monkeypatch, answering(200, content), "status", "--url", "http://w.test", "--json")
    assert good.exit_code == 0
    assert json.loads(good.stdout) == {"api": content, "stack": None, "error": None}
    bad = command(monkeypatch, answering(200, {**content, "queue": None, "unavailable": {"queue": "gone"}}), "status")
    assert (bad.exit_code, bad.stderr) == (1, "queue cannot be had: gone\n")
    assert "0 received" in bad.stdout


def test_status_prints_the_process_of_a_service_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    service = {"state": "ready", "pid": 42, "born": "then", "port": 8123, "restarts": 0, "log": "x.log"}
    content = {"pid": 1, "base_url": "http://w.test", "services": {"clickhouse": service}}
    monkeypatch.setattr("infra.local.state.read", lambda _: content)
    monkeypatch.setattr("infra.local.state.birth", lambda _: "then")
    good = command(monkeypatch, refused, "status", "--url", "http://w.test", "--pid", "clickhouse")
    assert (good.exit_code, good.stdout) == (0, "42\n")
    bad = command(monkeypatch, refused, "status", "--url", "http://w.test", "--pid", "redis")
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert "there are: clickhouse" in bad.stderr


def test_status_knows_the_stack_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    service = {"state": "ready", "pid": 1, "born": "never", "port": 8123, "restarts": 2, "log": "x.log"}
    content = {"pid": 1, "base_url": "http://w.test", "services": {"clickhouse": service}}
    monkeypatch.setattr("infra.local.state.read", lambda _: content)
    result = command(monkeypatch, refused, "status", "--url", "http://w.test", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["api"] is None
    assert told["stack"]["services"]["clickhouse"] == {
        "state": "gone",
        "pid": 1,
        "port": 8123,
        "restarts": 2,
        "log": "x.log",
    }


def test_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "event_id": OWN,
        "state": "failed",
        "batch_id": OWN,
        "batch_index": 0,
        "stages": [
            {"stage": "accepted", "at": "2026-01-01T00:00:00Z", "attempt": 1},
            {"stage": "failed", "at": None, "attempt": 2, "errors": [{"loc": ["a"], "code": "c", "message": "m [x]"}]},
        ],
        "duplicates": [{"received_at": "2026-01-01T00:00:00Z", "batch_id": OWN, "valid": True}],
    }
    result = command(monkeypatch, answering(200, content), "trace", OWN.upper())
    assert result.exit_code == 0
    assert "c a: m [x]" in result.stdout
    assert json.loads(command(monkeypatch, answering(200, content), "trace", OWN, "--json").stdout) == content


def test_trace_of_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = command(monkeypatch, answering(404, {"detail": "There is no such event."}), "trace", OWN)
    assert (missing.exit_code, missing.stderr) == (1, "Weir answered 404: There is no such event.\n")
    assert command(monkeypatch, refused, "trace", "x").stderr == "'x' is no event's id: that is a UUID.\n"


def test_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr("infra.clickhouse.migrate.migrate", lambda *given: calls.append(given) or ["0001_events"])
    monkeypatch.setattr("infra.questdb.migrate.migrate", lambda *given: calls.append(given) or [])
    monkeypatch.setenv("WEIR_QUESTDB_TTL_DAYS", "90")
    monkeypatch.setenv("WEIR_RETENTION_EVENTS_DAYS", "30")
    result = command(
        monkeypatch, refused, "migrate", "--url", "http://c.test", "--questdb-url", "http://q.test", "--json"
    )
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {"applied": {"clickhouse": ["0001_events"], "questdb": []}},
    )
    kept = RetentionSettings(retention_events_days=30)
    assert calls == [("http://c.test", "weir", None, "default", "", kept), ("http://q.test", 90, "admin", "quest")]


def test_migrate_says_that_there_is_no_questdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.clickhouse.migrate.migrate", lambda *_: [])

    def away(*_: Any) -> list[str]:
        raise QuestDbError("[Errno 111] Connection refused")

    monkeypatch.setattr("infra.questdb.migrate.migrate", away)
    result = command(monkeypatch, refused, "migrate", "--questdb-url", "http://u:secret@q.test:9000")
    assert result.exit_code == 1
    assert result.stderr == "QuestDB at http://q.test:9000: nothing answers there; is `weir up` running?\n"


def test_migrate_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    result = command(monkeypatch, refused, "migrate", "--url", "http://u:secret@c.test", "--database", "a b")
    assert result.exit_code == 1
    assert "secret" not in result.stderr.partition(": ")[0]


def test_the_first_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weir = WeirDouble()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host != "clickhouse.test":
            return weir(request)
        row = ["/top-page", 7] if b"page_path" in request.content else ["FR", "9"]
        return httpx.Response(200, json={"data": [row]})

    monkeypatch.setattr(running, "FOLDER", tmp_path)
    monkeypatch.setattr(
        client, "connect", lambda url, _: httpx.Client(transport=httpx.MockTransport(handler), base_url=url)
    )
    measured: list[object] = []
    monkeypatch.setattr(first_answers, "show", lambda *given: measured.append(given[1]))
    engines = {"WEIR_CLICKHOUSE_URL": "http://clickhouse.test"}
    first_run.welcome("http://weir.test", engines)
    assert measured == [engines]
    said = capsys.readouterr().err
    assert "10,000 received, 9,999 stored, 1 failed" in said
    assert "failed: required (1), first in line 8,899" in said
    assert "/top-page" in said
    assert "FR" in said
    assert said.count("  curl ") == 5
    posts = len(weir.posts)
    first_run.welcome("http://weir.test", engines)
    assert len(measured) == 1
    again = capsys.readouterr().err
    assert again.startswith("in store: 10,000 received, 9,999 stored, 1 failed\n")
    assert (again.count("  curl "), len(weir.posts)) == (5, posts)


def test_the_first_run_ends_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weir = WeirDouble()
    monkeypatch.setattr(running, "FOLDER", tmp_path)
    monkeypatch.setattr(client, "connect", lambda *_: weir.client())
    first_run.welcome("http://weir.test", {}, stopping=lambda: len(weir.posts) == 2)
    assert len(weir.posts) == 2
    assert "curl" not in capsys.readouterr().err


def test_an_address_that_is_none() -> None:
    for url in ("", "localhost:3000", "ftp://x", "http://", "http://[::1"):
        with pytest.raises(client.CommandError, match="no address"):
            client.connect(url, "")


def test_retry_after_as_seconds_as_a_date_and_as_nonsense() -> None:
    def told(text: str) -> float | None:
        return client.retry_after(httpx.Response(503, headers={"Retry-After": text}))

    assert (told("3"), told(""), told("soon")) == (3.0, None, None)
    assert told("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_migrate_names_a_retention_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_RETENTION_EVENTS_DAYS", "-1")
    result = command(monkeypatch, refused, "migrate")
    assert result.exit_code == 1
    assert "WEIR_RETENTION_EVENTS_DAYS" in result.stderr
