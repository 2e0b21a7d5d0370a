"""The import from file to account: batches, retries, going on after a stop, and the exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner, Result

from infra.cli import client, importing
from infra.cli.importing import run as running
from infra.cli.importing import sending
from infra.cli.importing.run import Import, Outcome
from tests.unit.cli.weir_double import WeirDouble

LINES = 1200
pauses: list[float] = []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing waits, and the accounts are the test's own."""
    pauses.clear()
    real = sending.patiently
    monkeypatch.setattr(sending, "patiently", lambda *args, **more: real(*args, **{**more, "sleep": pauses.append}))
    monkeypatch.setattr(running, "FOLDER", tmp_path / "imports")


def log(tmp_path: Path, lines: int = LINES, bad: tuple[int, ...] = ()) -> Path:
    path = tmp_path / "access.log"
    good = '10.0.0.1 - - [18/May/2015:11:05:47 +0000] "GET /a HTTP/1.1" 200 12 "-" "Mozilla/5.0"'
    path.write_text("".join((good[:-3] if number in bad else good) + "\n" for number in range(1, lines + 1)))
    return path


def run(path: Path, weir: WeirDouble, **more: Any) -> Outcome:
    with weir.client() as connection:
        return running.run(Import(path, "access-log", **more), connection, Console(file=io.StringIO()))


def sizes(weir: WeirDouble) -> list[int]:
    return [len(request.content.splitlines()) for request in weir.posts]


def test_everything_is_sent_in_batches_and_counted(tmp_path: Path) -> None:
    weir = WeirDouble()
    outcome = run(log(tmp_path, bad=(3, 700)), weir)
    assert sizes(weir) == [500, 500, 200]
    assert (outcome.progress.acknowledged, outcome.progress.accepted, outcome.progress.rejected) == (1200, 1198, 2)
    assert outcome.progress.complete
    assert outcome.progress.codes == {"required": 2}
    assert [one["line"] for one in outcome.progress.examples["required"]] == [3, 700]
    assert len(weir.events) + len(weir.failed) == 1200


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = log(tmp_path)
    stopping = WeirDouble(lambda count, _: httpx.Response(403, json={"detail": "No."}) if count == 3 else None)
    stopped = run(path, stopping)
    assert (stopped.progress.acknowledged, stopped.progress.complete) == (1000, False)
    assert "403" in stopped.stopped
    going_on = WeirDouble()
    outcome = run(path, going_on)
    assert sizes(going_on) == [200]
    assert (outcome.progress.acknowledged, outcome.progress.accepted) == (1200, 1200)
    assert len(stopping.events | going_on.events) == 1200


def test_ctrl_c_is_a_stop_like_any_other(tmp_path: Path) -> None:
    def interrupt(count: int, _: httpx.Request) -> None:
        if count == 2:
            raise KeyboardInterrupt

    outcome = run(log(tmp_path), WeirDouble(interrupt))
    assert (outcome.stopped, outcome.progress.acknowledged) == ("Interrupted.", 500)


def test_what_was_imported_is_not_sent_again_unless_asked(tmp_path: Path) -> None:
    path, weir = log(tmp_path), WeirDouble()
    run(path, weir)
    assert run(path, weir).already
    assert len(weir.posts) == 3
    again = run(path, weir, restart=True)
    assert (again.progress.duplicates, len(weir.events)) == (1200, 1200)
    assert not run(path, weir, site="other.test").already


def test_a_restart_that_is_stopped_starts_its_own_account(tmp_path: Path) -> None:
    path = log(tmp_path)
    run(path, WeirDouble())
    stopped = run(path, WeirDouble(lambda *_: httpx.Response(403, json={"detail": "No."})), restart=True)
    assert (stopped.progress.acknowledged, stopped.progress.complete) == (0, False)


def test_a_broken_account_is_no_account(tmp_path: Path) -> None:
    path, weir = log(tmp_path, 3), WeirDouble()
    run(path, weir)
    (account,) = (tmp_path / "imports").glob("*.json")
    assert account.stem == running.survey(path).sha256
    account.write_text("{")
    assert run(path, weir).progress.duplicates == 3


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told(tmp_path: Path, status: int) -> None:
    later = httpx.Response(status, json={}, headers={"Retry-After": "7"})
    weir = WeirDouble(lambda count, _: later if count <= 2 else None)
    assert run(log(tmp_path, 10), weir).progress.accepted == 10
    assert pauses == [7.0, 7.0]
    assert weir.posts[0].content == weir.posts[2].content


def test_it_gives_up_in_the_end(tmp_path: Path) -> None:
    weir = WeirDouble(lambda *_: httpx.Response(503, json={"detail": "The queue is away."}))
    outcome = run(log(tmp_path, 10), weir)
    assert outcome.progress.acknowledged == 0
    assert "The queue is away." in outcome.stopped
    assert pauses == sorted(pauses)


def test_a_connection_that_breaks_is_made_again(tmp_path: Path) -> None:
    def breaking(count: int, request: httpx.Request) -> None:
        if count == 1:
            raise httpx.ReadError("reset", request=request)

    assert run(log(tmp_path, 10), WeirDouble(breaking)).progress.accepted == 10
    assert len(pauses) == 1


def test_only_what_is_to_be_resent_is_resent(tmp_path: Path) -> None:
    results = [{"index": 1, "event_id": "x", "result": "retry", "errors": []}]
    partly = httpx.Response(202, json={"received": 3, "accepted": 2, "rejected": 1, "results": results})
    weir = WeirDouble(lambda count, _: partly if count == 1 else None)
    outcome = run(log(tmp_path, 3), weir)
    assert sizes(weir) == [3, 1]
    assert weir.posts[0].content.splitlines()[1] == weir.posts[1].content
    assert (outcome.progress.accepted, outcome.progress.rejected) == (3, 0)


def test_a_request_that_is_too_large_is_cut_in_two(tmp_path: Path) -> None:
    def small(_: int, request: httpx.Request) -> httpx.Response | None:
        lines = request.content.splitlines()
        too_large = len(lines) > 3 or (len(lines) == 1 and b"/huge" in lines[0])
        return httpx.Response(413, json={"code": "request_too_large", "detail": "Too big."}) if too_large else None

    path = log(tmp_path, 10)
    assert run(path, WeirDouble(small)).progress.accepted == 10
    path.write_text(path.read_text().splitlines()[0].replace("/a", "/huge"))
    assert run(path, WeirDouble(small)).progress.codes == {"request_too_large": 1}


def test_an_answer_that_does_not_add_up_stops_it(tmp_path: Path) -> None:
    short = httpx.Response(202, json={"received": 9, "accepted": 9, "rejected": 0, "results": []})
    assert "hold 10 events" in run(log(tmp_path, 10), WeirDouble(lambda *_: short)).stopped


def test_a_rate_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(sending.Sender.__dataclass_fields__["sleep"], "default", waited.append)
    monkeypatch.setattr(sending.time, "monotonic", lambda: sum(waited))
    weir = WeirDouble()
    with weir.client() as connection:
        outcome = running.run(
            Import(log(tmp_path, 25), "access-log", rate=10), connection, Console(file=io.StringIO()), tmp_path
        )
    assert outcome.progress.complete
    assert sizes(weir) == [10, 10, 5]


def command(monkeypatch: pytest.MonkeyPatch, weir: WeirDouble, *arguments: str) -> Result:
    app = Typer()
    importing.register(app)
    app.command()(lambda: None)  # a second one, so that the first keeps its name
    monkeypatch.setattr(client, "connect", lambda *_: weir.client())
    return CliRunner().invoke(app, ["import", *arguments])


def test_the_exit_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = command(monkeypatch, WeirDouble(), str(log(tmp_path, 3)), "--format", "access-log")
    assert (good.exit_code, good.stdout) == (0, "3 events sent: 3 accepted, 0 rejected\n")
    bad = command(monkeypatch, WeirDouble(), str(log(tmp_path, 3, bad=(2,))), "--format", "access-log", "--json")
    assert bad.exit_code == 1
    told = json.loads(bad.stdout)
    assert (told["sent"], told["accepted"], told["rejected"]) == (3, 2, 1)
    assert told["rejected_by_code"]["required"]["examples"][0]["line"] == 2


def test_an_interrupted_import_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(count: int, _: httpx.Request) -> None:
        if count == 2:
            raise KeyboardInterrupt

    result = command(monkeypatch, WeirDouble(interrupt), str(log(tmp_path)), "--format", "access-log")
    assert result.exit_code == 130
    assert "500 events were acknowledged; run the same command again" in result.stderr


@pytest.mark.parametrize("file_format", ["access-log", "csv"])
def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file_format: str) -> None:
    result = command(monkeypatch, WeirDouble(), str(tmp_path / "none"), "--format", file_format)
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path / 'none'}: No such file or directory.\n"
