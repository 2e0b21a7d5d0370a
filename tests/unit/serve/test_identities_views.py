"""What operators say of visitors over HTTP, over a store that is a few lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from functions.measure.identities import Identities
from functions.serve import identities_views as views
from functions.shared.domain import ids
from functions.shared.edge import Answer, Request, answering
from functions.shared.errors import StoreUnavailable

ADA = "u:" + ids.named("user", "ada@example.com")
SECOND = 1_000_000_000


class FakeMerges:
    """The tables of merges, as far as the statements about them are concerned."""

    def __init__(self) -> None:
        self.merges: dict[str, list[Any]] = {}
        self.applied: dict[str, str] = {}
        self.down = False

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        if "true" in sql:
            self.merges[parameters["id"]][4] = True
        else:
            given = [parameters[name] for name in ("id", "visitor", "other", "clock")]
            self.merges[parameters["id"]] = [*given, False]

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        if self.down:
            raise StoreUnavailable("The store did not answer.", 2)
        if "visitor_aliases" in sql:
            yield from ([name, into] for name, into in self.applied.items())
        else:
            yield from sorted(self.merges.values(), key=lambda row: (row[3], row[0]), reverse=True)


class Api:
    def __init__(self) -> None:
        self.store = FakeMerges()
        self.now = 0
        self.identities = Identities(self.store, self._clock)

    def _clock(self) -> int:
        self.now += SECOND
        return self.now

    def call(self, view: Callable[..., Answer], body: Any = b"", merge_id: str = "", **params: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(
            params={name: [value] for name, value in params.items()},
            path_params={"merge_id": merge_id} if merge_id else {},
            body=content,
        )
        self.answer = answering(lambda one: view(self.identities, one))(request)
        return self.answer.status, json.loads(self.answer.body)

    def merge(self, visitor: Any, other: Any) -> tuple[int, Any]:
        return self.call(views.merge, {"visitor": visitor, "other": other})


@pytest.fixture
def api() -> Api:
    return Api()


def test_a_merge_stands_and_waits_for_the_batch(api: Api) -> None:
    status, merge = api.merge("a:phone", ADA)
    assert (status, merge["visitor"], merge["other"]) == (201, "a:phone", ADA)
    assert (merge["undone"], merge["state"], merge["merged_at"]) == (False, "pending", "1970-01-01T00:00:01Z")
    assert api.answer.headers["Location"] == f"/api/v1/identities/merges/{merge['merge_id']}"
    api.store.applied = {"a:phone": ADA}
    assert api.call(views.one_merge, merge_id=merge["merge_id"].upper())[1]["state"] == "applied"


@pytest.mark.parametrize("visitor", [ADA, "u:ada@example.com", {"user_id": "ada@example.com"}, {"user_id": ADA[2:]}])
def test_a_user_may_be_named_in_either_form(api: Api, visitor: Any) -> None:
    assert api.merge(visitor, {"anonymous_id": "phone"})[1]["visitor"] == ADA


def test_said_again_it_is_the_same_merge_whoever_is_named_first(api: Api) -> None:
    _, first = api.merge("a:phone", ADA)
    assert api.merge(ADA, "a:phone") == (200, first)
    assert len(api.store.merges) == 1


def test_an_undone_merge_can_be_said_again(api: Api) -> None:
    merge_id = api.merge("a:phone", ADA)[1]["merge_id"]
    api.store.applied = {"a:phone": ADA}
    for _ in range(2):
        status, undone = api.call(views.undo, merge_id=merge_id)
        assert (status, undone["undone"], undone["state"]) == (200, True, "pending")
    api.store.applied = {}
    assert api.call(views.one_merge, merge_id=merge_id)[1]["state"] == "applied"
    status, again = api.merge("a:phone", ADA)
    assert (status, again["merge_id"], again["undone"]) == (201, merge_id, False)


def test_merges_are_listed_newest_first_a_page_at_a_time(api: Api) -> None:
    for number in range(5):
        api.merge(f"a:{number}", ADA)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        _, page = api.call(views.merges, limit="2", **cursor)
        found += [one["visitor"] for one in page["merges"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == ["a:4", "a:3", "a:2", "a:1", "a:0"]


BAD: list[tuple[Any, str, str]] = [
    (b"", "malformed_json", "not JSON"),
    (b"[" * 5_000, "malformed_json", "not JSON"),
    ([], "not_an_object", "object"),
    ({"visitor": "a:x"}, "required", "other"),
    ({"visitor": "a:x", "other": "a:y", "visitors": 1}, "unknown_field", "visitors"),
    ({"visitor": "a:x", "other": 7}, "wrong_type", "other"),
    ({"visitor": {"name": "x"}, "other": "a:y"}, "wrong_type", "visitor"),
    ({"visitor": {"user_id": "x", "anonymous_id": "y"}, "other": "a:y"}, "wrong_type", "visitor"),
    ({"visitor": {"user_id": ""}, "other": "a:y"}, "bad_visitor", "visitor"),
    ({"visitor": "ada", "other": "a:y"}, "bad_visitor", "visitor"),
    ({"visitor": "a:x", "other": "s:7"}, "bad_visitor", "other"),
    ({"visitor": "a:x", "other": "f:7"}, "bad_visitor", "other"),
    ({"visitor": "a:x", "other": "a:" + "y" * 257}, "bad_visitor", "other"),
    ({"visitor": "a:x", "other": "a:x"}, "same_visitor", "other"),
    ({"visitor": {"user_id": "ada@example.com"}, "other": ADA}, "same_visitor", "other"),
]


@pytest.mark.parametrize(("body", "code", "told"), BAD)
def test_what_is_wrong_is_told_by_its_field(api: Api, body: Any, code: str, told: str) -> None:
    status, problem = api.call(views.merge, body)
    assert (status, problem["code"]) == (400, code)
    assert told in problem["detail"]
    assert api.store.merges == {}


def test_what_is_not_there_is_404_and_what_is_no_id_is_400(api: Api) -> None:
    for view in (views.one_merge, views.undo):
        assert api.call(view, merge_id=ids.NIL)[0] == 404
        assert api.call(view, merge_id="7")[0] == 400
    assert api.call(views.merges, limit="0")[0] == 400
    assert api.call(views.merges, page="2")[1]["code"] == "unknown_parameter"
    assert api.call(views.merges, cursor="x")[1]["code"] == "bad_cursor"
    assert api.call(views.merge, b" " * 20_000)[0] == 413


def test_without_the_store_nothing_is_said(api: Api) -> None:
    api.store.down = True
    assert api.merge("a:x", ADA)[0] == 503
