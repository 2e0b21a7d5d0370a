"""What the ledger answers, and what may be asked of it."""

import json
from typing import Any

import pytest

from functions.serve import accounts, views
from functions.serve.accounts import MAX_DAYS, MAX_LINES, LedgerQuery
from functions.shared.domain.ledger_sql import Range
from functions.shared.edge import Request, answering
from functions.shared.errors import BadRequest
from tests.unit.serve.fakes import NOW, SECOND, FakeReader, service

HOUR = 3_600
MINUTE = NOW // SECOND // 60 * 60
# received, stored, failed, duplicate, erased, dead, in flight, dropped, not tallied
ACCOUNT = [10, 5, 1, 1, 0, 0, 1, {"consent": 2}, 3]


def ask(**given: str) -> LedgerQuery:
    return accounts.query({name: [value] for name, value in given.items()}, "live", NOW)


def body(reader: FakeReader, **given: str) -> Any:
    request = Request(params={k: [v] for k, v in given.items()}, headers={}, path_params={}, path="/api/v1/ledger")
    answer = answering(lambda one: views.ledger(service(reader), one))(request)
    return answer.status, json.loads(answer.body)


def test_without_a_range_it_is_the_last_hour_and_the_minute_under_way() -> None:
    assert ask() == LedgerQuery(Range(MINUTE - HOUR, MINUTE, "", "live"), "minute")
    later = accounts.query({}, "test", NOW + SECOND)
    assert later.range == Range(MINUTE + 60 - HOUR, MINUTE + 60, "", "test")


def test_minutes_that_are_asked_for_in_part_are_whole() -> None:
    asked = ask(**{"from": "2026-01-01T00:00:59Z", "to": "2026-01-01T00:01:01Z", "group_by": "hour", "key_id": "k"})
    first = 1_767_225_600
    assert asked == LedgerQuery(Range(first, first + 120, "k", "live"), "hour")


@pytest.mark.parametrize("days", [MAX_DAYS, MAX_DAYS + 1])
def test_a_range_is_bounded(days: int) -> None:
    given = {"from": str(MINUTE - days * 86_400), "to": str(MINUTE)}
    if days == MAX_DAYS:
        assert ask(**given).range.since == MINUTE - days * 86_400
    else:
        with pytest.raises(BadRequest, match="31 days"):
            ask(**given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"group_by": "day"}, "group_by"),
        ({"from": "yesterday"}, "from"),
        ({"from": str(MINUTE + 60), "to": str(MINUTE)}, "from"),
        ({"from": str(MINUTE), "to": str(MINUTE)}, "from"),
        ({"from": str(MINUTE + 600)}, "from"),
        ({"key_id": "k" * 201}, "key_id"),
        ({"environment": "test"}, "environment"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], named: str) -> None:
    status, told = body(FakeReader(), **given)
    assert (status, named in told["detail"]) == (400, True)


def test_lines_and_their_sum() -> None:
    reader = FakeReader(
        ("FROM ledger", [[MINUTE - 60, "", *ACCOUNT], [MINUTE, "live_a", *ACCOUNT]]),
        ("FROM raw_events", [[MINUTE - 60, "", 5, 1, 0], [MINUTE, "live_a", 3, 1, 0]]),
    )
    status, told = body(reader)
    assert status == 200
    first, second = told["lines"]
    assert (first["key_id"], second["key_id"]) == (None, "live_a")
    assert (first["difference"], second["difference"]) == (0, 2)
    total = told["total"]
    assert (total["received"], total["dropped"], total["rows"], total["difference"]) == (20, {"consent": 4}, 10, 2)
    assert (total["balanced"], told["complete"]) == (False, True)


def test_a_key_of_which_only_rows_are_left_is_a_line_too() -> None:
    _, told = body(FakeReader(("FROM raw_events", [[MINUTE, "k", 1, 0, 0]])), group_by="key")
    (line,) = told["lines"]
    assert (line["rows"], line["difference"], "at" in line) == (1, 1, False)


@pytest.mark.parametrize("extra", [0, 1])
def test_more_lines_than_are_shown_are_said_to_be_there(extra: int) -> None:
    rows = [[MINUTE, f"k{number:05}", *ACCOUNT] for number in range(MAX_LINES + extra)]
    _, told = body(FakeReader(("FROM ledger", rows)))
    assert (len(told["lines"]), told["complete"]) == (MAX_LINES, extra == 0)


def test_what_is_asked_for_never_stands_in_the_statement() -> None:
    reader = FakeReader()
    body(reader, key_id="x' OR 1=1")
    assert all("1=1" not in sql and given["key_id"] == "x' OR 1=1" for sql, given in reader.asked)
