"""Erasures over HTTP, over a store that is a few lists: asked for, refused from then on, and told of by a receipt."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from functions.measure.erasing.erasures import Bounds, Erasures
from functions.serve import erasures_views as views
from functions.shared.domain import ids, suppression
from functions.shared.edge import Answer, Request, answering

ADA = ids.named("user", "ada@example.com")
ONE = "0193a1b2-c3d4-7e5f-8a9b-000000000001"
DAY = 86_400 * 1_000_000_000


class FakeTables:
    """The tables of erasures, as far as the statements of asking are concerned."""

    def __init__(self) -> None:
        self.erasures: dict[str, list[Any]] = {}
        self.refused: list[tuple[str, str]] = []
        self.subjects: list[tuple[str, str]] = []

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        given = parameters
        if sql.startswith("INSERT INTO erasures"):
            before, after = (
                dict(zip(given[names], given[counts], strict=True))
                for names, counts in (("places", "before"), ("left", "after"))
            )
            row = [given["id"], given["subject"], given["state"], given["requested"], given["finished"], before, after]
            self.erasures[given["id"]] = row
            return
        names = list(zip(given["kinds"], given["names"], strict=True))
        (self.refused if "suppressions" in sql else self.subjects).extend(names)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        for row in self.erasures.values():
            if row[0] == parameters.get("id") or ("state != 'done'" in sql and row[2] != "done"):
                yield row


class Api:
    def __init__(self, stored: Callable[[str], str] = lambda user: user) -> None:
        self.store, self.numbers = FakeTables(), 0
        self.erasures = Erasures(self.store, lambda: DAY, self._id, stored, Bounds(14, 30))

    def _id(self) -> str:
        self.numbers += 1
        return ONE[:-1] + str(self.numbers)

    def call(self, view: Callable[..., Answer], path: Mapping[str, str], **params: list[str]) -> tuple[int, Any]:
        self.answer = answering(lambda one: view(self.erasures, one))(Request(params=params, path_params=dict(path)))
        return self.answer.status, json.loads(self.answer.body)

    def erase(self, user: str, **params: list[str]) -> tuple[int, Any]:
        return self.call(views.erase, {"user_id": user}, **params)


def test_who_is_erased_is_refused_at_once_and_the_receipt_names_nobody() -> None:
    api = Api()
    status, receipt = api.erase("ada@example.com", anonymous_id=["tablet"])
    assert (status, receipt["state"], receipt["erasure_id"]) == (202, "erasing", ONE)
    assert set(api.store.refused) == {
        ("user", suppression.subject("user", ADA)),
        ("identity", suppression.subject("identity", "a:tablet")),
    }
    assert receipt["subject"] == suppression.subject("user", ADA)
    for name in ("ada", ADA, "tablet"):
        assert name not in api.answer.body
    assert api.answer.headers["Location"] == f"/api/v1/erasures/{ONE}"
    assert receipt["queue"]["until"].startswith("1970-01-16")
    assert receipt["backups"]["until"].startswith("1970-02-01")


def test_either_form_of_the_id_and_asked_again_it_is_the_same_erasure() -> None:
    api = Api()
    assert [api.erase(user)[1]["erasure_id"] for user in ("ada@example.com", ADA, ADA.upper())] == [ONE] * 3
    assert len(api.store.erasures) == 1
    assert api.erase("bob")[1]["erasure_id"] != ONE


def test_a_user_whose_id_is_hashed_is_refused_by_both() -> None:
    api = Api(lambda user: f"hmac:{user}")
    api.erase("ada@example.com")
    hashed = ids.named("user", "hmac:ada@example.com")
    assert set(api.store.refused) == {("user", suppression.subject("user", one)) for one in (ADA, hashed)}


def test_the_receipt_of_what_is_done_says_so() -> None:
    api = Api()
    api.erase("ada@example.com")
    done = api.erasures.get(ONE)._replace(state="done", before={"raw_events": 7}, after={"raw_events": 0})
    api.erasures.note(done._replace(finished_at=2 * DAY))
    status, receipt = api.call(views.erasure, {"erasure_id": ONE})
    assert (status, receipt["state"], receipt["finished_at"]) == (200, "done", "1970-01-03T00:00:00Z")
    assert receipt["places"] == [{"place": "raw_events", "before": 7, "after": 0}]


@pytest.mark.parametrize(
    ("view", "path", "params", "status", "code"),
    [
        (views.erase, {"user_id": ""}, {}, 400, "bad_visitor"),
        (views.erase, {"user_id": "x" * 257}, {}, 400, "bad_visitor"),
        (views.erase, {"user_id": "\ud800"}, {}, 400, "bad_visitor"),
        (views.erase, {"user_id": "ada"}, {"anonymous_id": ["x" * 257]}, 400, "bad_visitor"),
        (views.erase, {"user_id": "ada"}, {"force": ["1"]}, 400, "unknown_parameter"),
        (views.erasure, {"erasure_id": "1"}, {}, 400, "bad_uuid"),
        (views.erasure, {"erasure_id": ONE}, {}, 404, "erasure_not_found"),
    ],
)
def test_what_cannot_be_is_refused_and_erases_nobody(
    view: Callable[..., Answer], path: dict[str, str], params: dict[str, list[str]], status: int, code: str
) -> None:
    api = Api()
    answered, problem = api.call(view, path, **params)
    assert (answered, problem["code"]) == (status, code)
    assert api.store.erasures == {}
    assert api.store.refused == []
