"""`weir keys`: what is made can be used at once, is shown once, and ends when it is told to."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from functions.shared.adapters.keys_memory import MemoryKeys
from functions.shared.domain import key_document, key_edits
from functions.shared.domain.instants import SECOND
from functions.shared.domain.keys import Key, Keyring
from functions.shared.errors import BadRequest, Unauthorized
from infra.cli import keyring, keys

NOW = 1_767_225_600 * SECOND
HOUR = 3_600 * SECOND


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIR_KEYS", "file")
    monkeypatch.setenv("WEIR_KEYS_PATH", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def weir(*arguments: str) -> Result:
    app = Typer()
    keys.register(app)
    return CliRunner().invoke(app, ["keys", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    result = weir(*arguments, "--json")
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def ring(file: Path) -> Keyring:
    return Keyring(key_document.read(file.read_text()))


def test_a_key_that_was_made_is_found_by_its_token_and_does_what_was_asked(file: Path) -> None:
    made = told(
        "create", "shop", "--scope", "write", "--scope", "read", "--environment", "test", "--origin",
        "https://Shop.test/", "--event-name", "Cart *", "--rate", "5", "--daily", "70", "--slow-lane",
    )  # fmt: skip
    assert made["token"].startswith("wk_test_")
    found = ring(file).find(made["token"], NOW)
    assert (found.key_id, found.name, found.environment) == (made["key_id"], "shop", "test")
    assert found.scopes == ("write", "read")
    assert (found.origins, found.event_names) == (("https://shop.test",), ("Cart *",))
    assert (found.events_per_second, found.daily_events, found.slow_lane) == (5, 70, True)
    assert found.created_at


def test_the_token_is_in_the_answer_of_its_making_and_nowhere_else(file: Path) -> None:
    made = told("create", "shop", "--scope", "write")
    again = told("rotate", made["key_id"])
    shown = file.read_text()
    for command in (("list",), ("show", made["key_id"])):
        shown += weir(*command).output + weir(*command, "--json").output
    for token in (made["token"], again["token"]):
        assert token not in shown
        assert token.rpartition("_")[2] not in shown
    assert '"sha256"' not in shown.replace(file.read_text(), "")


def test_tokens_differ_and_are_long(file: Path) -> None:
    tokens = {told("create", "x", "--scope", "admin")["token"] for _ in range(20)}
    assert len(tokens) == 20
    assert all(token.startswith("ak_live_") and len(token.rpartition("_")[2]) == 32 for token in tokens)


def test_a_rotated_key_has_two_tokens_for_a_while_and_one_id(file: Path) -> None:
    made = told("create", "shop", "--scope", "read")
    new = told("rotate", made["key_id"], "--overlap", "2h")["token"]
    (former, _) = key_document.read(file.read_text())[0].digests
    until = key_edits.instants.from_text(former.expires_at)
    assert ring(file).find(made["token"], until - 1) == ring(file).find(new, until) == ring(file).find(new, until - 1)
    with pytest.raises(Unauthorized) as caught:
        ring(file).find(made["token"], until)
    assert caught.value.code == "key_expired"


def test_a_key_is_changed_in_what_is_named_alone_and_keeps_its_token(file: Path) -> None:
    made = told("create", "shop", "--scope", "write", "--origin", "https://a.test", "--rate", "5", "--daily", "70")
    changed = told("set", "shop", "--rate", "9", "--slow-lane", "--event-name", "Cart *", "--origin", "https://B.test/")
    found = ring(file).find(made["token"], NOW)
    assert changed["key_id"] == found.key_id == made["key_id"]
    assert (found.origins, found.event_names) == (("https://b.test",), ("Cart *",))
    assert (found.events_per_second, found.daily_events, found.slow_lane) == (9, 70, True)
    told(
        "set", made["key_id"], "--daily", "0", "--no-slow-lane", "--any-origin", "--any-event-name", "--rename", "site"
    )
    found = ring(file).find(made["token"], NOW)
    assert (found.origins, found.event_names, found.slow_lane) == ((), (), False)
    assert (found.name, found.events_per_second, found.daily_events, found.scopes) == ("site", 9, 0, ("write",))


def test_a_name_of_several_is_no_answer_and_those_that_were_revoked_do_not_count(file: Path) -> None:
    first, second = (told("create", "shop", "--scope", "read") for _ in range(2))
    refused = weir("set", "shop", "--rate", "1")
    assert refused.exit_code == 1
    assert first["key_id"] in refused.stderr
    assert second["key_id"] in refused.stderr
    weir("revoke", first["key_id"])
    assert told("set", "shop", "--rate", "1")["key_id"] == second["key_id"]
    assert "was revoked" in weir("set", first["key_id"], "--rate", "1").stderr


def test_a_revoked_key_ends_at_once_with_all_its_tokens_and_stays_listed(file: Path) -> None:
    made = told("create", "shop", "--scope", "read")
    other = told("create", "other", "--scope", "read")
    new = told("rotate", made["key_id"])["token"]
    assert weir("revoke", made["key_id"]).exit_code == 0
    for token in (made["token"], new):
        with pytest.raises(Unauthorized) as caught:
            ring(file).find(token, NOW)
        assert caught.value.code == "key_revoked"
    assert ring(file).find(other["token"], NOW).name == "other"
    assert [bool(one["revoked_at"]) for one in told("list")["keys"]] == [True, False]
    refused = weir("rotate", made["key_id"])
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "was revoked" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "live_none"), "There is no key 'live_none'"),
        (("revoke", "live_none"), "There is no key"),
        (("rotate", "live_none"), "There is no key"),
        (("set", "live_none", "--rate", "1"), "There is no key 'live_none'"),
        (("set", "shop"), "Say what is to change"),
        (("set", "shop", "--origin", "https://a.test", "--any-origin"), "not both"),
        (("set", "shop", "--origin", ""), "length"),
        (("set", "shop", "--rename", "x" * 300), "length"),
        (("create", "x" * 300, "--scope", "read"), "length"),
        (("create", "x", "--scope", "read", "--origin", ""), "length"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(file: Path, arguments: tuple[str, ...], said: str) -> None:
    told("create", "shop", "--scope", "read")
    before = file.read_text()
    result = weir(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
    assert said in result.stderr
    assert file.read_text() == before


@pytest.mark.parametrize("broken", ["", "{", '{"keys": [{"key_id": "live_a", "token": "wk_live_secret"}]}'])
def test_a_document_that_cannot_be_read_is_left_alone(file: Path, broken: str) -> None:
    file.write_text(broken or "[]")
    result = weir("create", "shop", "--scope", "read")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
    assert "secret" not in result.output
    assert file.read_text() == (broken or "[]")


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("90", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)])
def test_an_overlap_is_a_duration(text: str, seconds: int) -> None:
    assert keyring.nanoseconds(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "1.5h", "1h1m", "١h"])
def test_what_is_no_duration_is_told(file: Path, text: str) -> None:
    made = told("create", "shop", "--scope", "read")
    result = weir("rotate", made["key_id"], f"--overlap={text}")
    assert result.exit_code == 1
    assert "no duration" in result.stderr


def test_many_at_once_lose_nothing_of_each_other() -> None:
    source = MemoryKeys(key_document.write([]))
    options = {"name": "x", "scopes": ("read",)}
    made: list[Key] = []

    def work() -> None:
        made.extend(keyring.Keyring(source).create("live", options)[0] for _ in range(8))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert {one.key_id for one in made} == {one.key_id for one in key_document.read(source.read().text)}
    assert len(made) == 32


def test_tokens_rotated_away_long_ago_are_forgotten_and_an_overlap_is_never_made_longer() -> None:
    first = key_edits.added(Key(key_id="live_a", scopes=("read",)), "one", NOW)([])
    with pytest.raises(BadRequest):
        key_edits.added(Key(key_id="live_a"), "two", NOW)(first)
    second = key_edits.rotated("live_a", "two", NOW, HOUR)(first)
    third = key_edits.rotated("live_a", "three", NOW, 5 * HOUR)(second)
    ends = [one.expires_at for one in third[0].digests]
    assert ends == ["2026-01-01T01:00:00Z", "2026-01-01T05:00:00Z", ""]
    late = key_edits.rotated("live_a", "four", NOW + 40 * 24 * HOUR, HOUR)(third)
    assert len(late[0].digests) == 2
