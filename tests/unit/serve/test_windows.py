"""Windows of time: together they are all of time, whatever they begin at."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.serve import params
from functions.serve.params import DocumentFilter, EventQuery
from functions.serve.shapes import Shape
from functions.serve.windows import Window, windows, worth_it
from tests.unit.serve.fakes import NOW, SECOND, FakeReader, key, service

ALL = 2**63
HOUR = 3_600 * SECOND
instants = st.integers(-ALL + 1, ALL - 1)


def query(**given_values: str) -> EventQuery:
    return params.events_query({name: [value] for name, value in given_values.items()})


@given(start=instants, order=st.sampled_from(("asc", "desc")), since=st.none() | instants, until=st.none() | instants)
def test_they_are_all_of_time_in_order(start: int, order: str, since: int | None, until: int | None) -> None:
    found = windows(EventQuery(order="asc" if order == "asc" else "desc", since=since, until=until), start)
    in_time = found if order == "asc" else found[::-1]
    assert in_time[0].since is None
    assert in_time[-1].until is None
    for one, following in itertools.pairwise(in_time):
        assert one.until == following.since is not None
        assert -ALL <= one.until < ALL
    edges = [window.until for window in in_time[:-1]]
    assert edges == sorted(set(edges), key=lambda edge: edge or 0)


def test_the_nearest_come_first_and_they_grow() -> None:
    first, second, *_ = windows(EventQuery(), NOW)
    assert first == Window(NOW - 12 * HOUR, None)
    assert second == Window(NOW - 108 * HOUR, NOW - 12 * HOUR)
    first, second, *_ = windows(EventQuery(order="asc"), NOW)
    assert first == Window(None, NOW + 12 * HOUR)
    assert second == Window(NOW + 12 * HOUR, NOW + 108 * HOUR)


def test_nothing_is_looked_for_outside_the_range() -> None:
    assert len(windows(EventQuery(since=NOW - HOUR), NOW)) == 1
    assert len(windows(EventQuery(since=NOW - 13 * HOUR), NOW)) == 2
    assert len(windows(EventQuery(until=NOW + HOUR, order="asc"), NOW)) == 1


@pytest.mark.parametrize(
    ("one", "worth"),
    [
        (EventQuery(), False),
        (EventQuery(equal=(("event_name", ("a",)),)), True),
        (EventQuery(documents=(DocumentFilter("properties", "a", "eq", ("b",)),)), True),
        (EventQuery(equal=(("event_name", ("a",)), ("user_id", ("u",)))), False),
        (EventQuery(equal=(("event_name", ("a",)),), order_by="stored_at"), False),
    ],
)
def test_they_are_for_filters_that_may_pass_over_much(one: EventQuery, worth: bool) -> None:
    assert worth_it(one) is worth


def test_a_page_is_gathered_from_several() -> None:
    pool = [[*key(number), key(number)[1]] for number in range(9)]
    reader = FakeReader(("timestamp", [[NOW]]))

    def answer(sql: str) -> list[list[Any]]:
        return [pool.pop(0) for _ in range(3)] if "event_name" in sql else [[NOW]]

    reader.answer = answer
    page = service(reader).events(
        query(event_name="a", limit="7", fields="event_id"), "application/json", Shape("processed", ("event_id",))
    )
    limits = [sql.rpartition("LIMIT ")[2] for sql, _ in reader.asked]
    assert limits == ["1", "8", "5", "2"], "each window is asked for what is still missing"
    assert (len(page.lines), page.has_more) == (7, True)
    assert reader.closed == len(reader.asked)


def test_an_empty_table_is_asked_once_more() -> None:
    reader = FakeReader()
    page = service(reader).events(query(event_name="a"), "application/json", Shape("processed"))
    assert (page.lines, len(reader.asked)) == ([], 2)
