"""Whether what a replay was asked for names a person."""

import pytest

from functions.measure.erasing.people import Subject
from functions.measure.erasing.replay_requests import names
from functions.measure.replays.request import Filter, Request, to_text
from functions.shared.domain import ids
from schemas.patch import Drop, Rename, Set

ANN = [
    Subject("user", ids.user("ann")),
    Subject("device", "ann-phone"),
    Subject("identity", "a:ann-tablet"),
    Subject("text", "ann@example.com"),
]


@pytest.mark.parametrize(
    "operation",
    [
        Set("user_id", "ann"),
        Set("user_id", ids.user("ann").upper()),
        Set("anonymous_id", "ann-phone"),
        Set("anonymous_id", "ann-tablet"),
        Set("properties.email", "<ann@example.com>"),
        Set("properties", {"of": [{"ann@example.com": 1}]}),
        Drop("properties.ann@example\\.com"),
        Rename("a", "ann@example.com"),
    ],
)
def test_a_patch_names_a_person_by_any_of_their_names(operation: Set | Drop | Rename) -> None:
    assert names(to_text(Request("failed", patch=[operation])), ANN)


def test_a_filter_does_too() -> None:
    assert names(to_text(Request("failed", Filter(cause="of ann@example.com"))), ANN)
    assert names(to_text(Request("failed", Filter(event_names=["a", "ann"]))), ANN)


def test_an_id_that_was_given_as_a_number_is_one() -> None:
    seven = [Subject("user", ids.user("7"))]
    assert names(to_text(Request("dead", patch=[Set("user_id", 7)])), seven)


@pytest.mark.parametrize("value", ["bob", "joann", "ann-phone2", "an", "", None, True, {}])
def test_others_are_not_taken_for_them(value: object) -> None:
    asked = Request("dead", Filter(since=1, key_ids=["live_a"]), [Set("user_id", value)])
    assert not names(to_text(asked), ANN)


def test_the_words_of_a_request_are_nobodys_name() -> None:
    asked = to_text(Request("dead", Filter(since=1), [Drop("user_id")]))
    words = ("dead", "drop", "op", "patch", "filter", "source", "since")
    assert not any(names(asked, [Subject("user", ids.user(word))]) for word in words)
