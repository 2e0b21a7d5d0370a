"""By what a person is known: turns of shared devices, and visitors that operators said are one."""

import pytest

from functions.measure.erasing.people import Link, Subject, merged, texts, turns, unlinked
from functions.shared.domain.suppression import EARLIEST, Position

ASKED = 1_000
START, END = Position(EARLIEST), Position(ASKED)


def at(place: int) -> Position:
    return Position(place, f"e{place}")


def links(*of: tuple[int, str]) -> list[Link]:
    return [Link("d", at(place), user) for place, user in of]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ([], []),
        ([(5, "bob")], []),
        ([(5, "ada")], [(START, END)]),
        ([(5, "ada"), (9, "bob")], [(START, at(9))]),
        ([(5, "bob"), (9, "ada")], [(at(9), END)]),
        ([(5, "bob"), (9, "ada"), (12, "bob"), (15, "ada")], [(at(9), at(12)), (at(15), END)]),
        ([(5, "ada"), (9, "ann"), (12, "bob")], [(START, at(12))]),
        ([(5, "bob"), (ASKED, "ada")], []),
    ],
)
def test_a_device_is_the_persons_from_a_link_to_the_next_of_somebody_else(
    of: list[tuple[int, str]], expected: list[tuple[Position, Position]]
) -> None:
    found = turns(links(*of), {"ada", "ann"}, ASKED)
    assert [(one.since, one.until) for one in found if one.kind == "device"] == expected


def test_devices_are_told_apart_and_one_that_nobody_shares_is_looked_for_in_bytes() -> None:
    mine = Link("tablet-1", at(1), "ada")
    found = turns([mine, Link("tablet-2", at(1), "ada"), Link("tablet-2", at(2), "bob")], {"ada"}, ASKED)
    assert [one.name for one in found if one.kind == "text"] == ["tablet-1"]
    assert {one.name for one in found if one.kind == "device"} == {"tablet-1", "tablet-2"}


def test_a_device_may_be_the_persons_in_one_environment_and_anothers_in_the_other() -> None:
    live = [Link("tablet-1", at(1), "ada"), Link("tablet-1", at(9), "bob")]
    test = [Link("tablet-1", at(5), "bob", "test"), Link("tablet-1", at(7), "ada", "test")]
    assert turns(live + test, {"ada"}, ASKED) == [
        Subject("device", "tablet-1", START, at(9)),
        Subject("test_device", "tablet-1", at(7), END),
    ]
    assert not [one for one in turns([live[0], test[0]], {"ada"}, ASKED) if one.kind == "text"]


def test_a_device_of_the_persons_that_named_nobody_is_theirs_where_it_did_so() -> None:
    links = [Link("d1", at(1), "bob"), Link("d2", at(1), "bob", "test")]
    assert unlinked(["d1", "d2"], links, ASKED) == [
        Subject("test_device", "d1", until=END),
        Subject("device", "d2", until=END),
    ]


def test_what_is_too_short_is_not_looked_for_in_bytes_of_others() -> None:
    assert texts(["abcde", "abcdef"]) == [Subject("text", "abcdef")]


def test_all_that_are_one_are_found_over_others() -> None:
    pairs = [("u:a", "a:1"), ("a:1", "u:b"), ("u:c", "u:d")]
    assert merged("u:b", pairs) == {"u:a", "u:b", "a:1"}
    assert merged("u:x", pairs) == {"u:x"}
