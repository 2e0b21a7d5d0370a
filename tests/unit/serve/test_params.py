"""Reading the query string: what is right becomes a typed query, what is wrong is named."""

import pytest

from functions.serve.params import DocumentFilter, EventQuery, events_query, instant
from functions.shared.domain import ids
from functions.shared.errors import BadRequest

UUID = "018F0000-0000-7000-8000-00000000000A"


def refused(params: dict[str, list[str]]) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        events_query(params)
    return caught.value


def test_nothing_is_the_default_page() -> None:
    assert events_query({}) == EventQuery()


def test_a_name_repeated_means_any_of_its_values() -> None:
    assert events_query({"event_name": ["b", "a", "b"]}).equal == (("event_name", ("a", "b")),)


def test_ids_are_lower_case() -> None:
    assert events_query({"event_id": [UUID]}).equal == (("event_id", (UUID.lower(),)),)


def test_a_user_is_taken_in_either_form() -> None:
    found = dict(events_query({"user_id": [UUID, "ada@example.com"]}).equal)["user_id"]
    assert set(found) == {UUID.lower(), ids.named("user", "ada@example.com")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("properties.plan", DocumentFilter("properties", "plan", "eq", ("7",))),
        ("context.page.url", DocumentFilter("context", "page.url", "eq", ("7",))),
        ("properties.amount[gte]", DocumentFilter("properties", "amount", "gte", ("7",))),
        ("properties.a b.ü[ne]", DocumentFilter("properties", "a b.ü", "ne", ("7",))),
        ("properties.a[0][eq]", DocumentFilter("properties", "a[0]", "eq", ("7",))),
    ],
)
def test_filters_on_what_is_inside(name: str, expected: DocumentFilter) -> None:
    assert events_query({name: ["7"]}).documents == (expected,)


def test_an_empty_value_inside_is_a_value() -> None:
    assert events_query({"properties.plan": [""]}).documents[0].values == ("",)


def test_exists_without_a_value_is_yes() -> None:
    assert events_query({"properties.plan[exists]": [""]}).documents[0].values == ("true",)


def test_the_order_of_parameters_makes_no_difference() -> None:
    one = events_query({"event_name": ["a"], "platform": ["web"], "properties.b": ["1"], "properties.a": ["2"]})
    other = events_query({"properties.a": ["2"], "properties.b": ["1"], "platform": ["web"], "event_name": ["a"]})
    assert one == other


@pytest.mark.parametrize(
    ("params", "named", "code"),
    [
        ({"evnt_name": ["x"]}, "evnt_name", "unknown_parameter"),
        ({"properties": ["x"]}, "properties", "unknown_parameter"),
        ({"properties.": ["x"]}, "properties.", "unknown_parameter"),
        ({"properties.a[near]": ["x"]}, "properties.a[near]", "unknown_operator"),
        ({"properties.a[]": ["x"]}, "properties.a[]", "unknown_operator"),
        ({"properties.a.:`Int64`": ["x"]}, "properties.a.:`Int64`", "unsupported_path"),
        ({"properties.^`a`": ["x"]}, "properties.^`a`", "unsupported_path"),
        ({"properties.a[exists]": ["perhaps"]}, "properties.a[exists]", "bad_parameter"),
        ({"properties.a[exists]": ["true", "false"]}, "properties.a[exists]", "bad_parameter"),
        ({"session_id": ["7"]}, "session_id", "bad_uuid"),
        ({"event_id": [UUID[:-1]]}, "event_id", "bad_uuid"),
        ({"event_id": [""]}, "event_id", "bad_uuid"),
        ({"event_name": [""]}, "event_name", "bad_parameter"),
        ({"user_id": [""]}, "user_id", "bad_parameter"),
        ({"status": ["failed"]}, "status", "bad_parameter"),
        ({"status": ["lost"], "source": ["raw"]}, "status", "bad_parameter"),
        ({"source": ["all"]}, "source", "bad_parameter"),
        ({"order": ["up"]}, "order", "bad_parameter"),
        ({"order_by": ["event_id"]}, "order_by", "bad_parameter"),
        ({"order": ["asc", "desc"]}, "order", "bad_parameter"),
        ({"from": ["yesterday"]}, "from", "bad_timestamp"),
        ({"to": [""]}, "to", "bad_timestamp"),
        ({"from": ["2026-02-30"]}, "from", "bad_timestamp"),
        ({"from": ["2026-02-02"], "to": ["2026-02-01"]}, "from", "bad_parameter"),
        ({"fields": ["geo.cuntry"]}, "fields", "unknown_field"),
        ({"fields": ["event_id,"]}, "fields", "bad_parameter"),
        ({"fields": ["properties."]}, "fields", "unknown_field"),
        ({"fields": ["raw_data"]}, "fields", "unknown_field"),
        ({"stitched_session_id": ["x"]}, "stitched_session_id", "bad_uuid"),
        ({"event_name": ["x"] * 201}, "event_name", "bad_parameter"),
        ({"event_name": ["\ud83d"]}, "event_name", "bad_encoding"),
    ],
)
def test_what_is_wrong_is_named(params: dict[str, list[str]], named: str, code: str) -> None:
    error = refused(params)
    assert error.errors[0]["loc"] == ["query", named]
    assert error.code == error.errors[0]["code"] == code
    assert error.detail.startswith(named)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.0", "", "x", "٣", "9" * 30])
def test_a_limit_out_of_bounds(limit: str) -> None:
    assert "limit" in refused({"limit": [limit]}).detail


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_limit_at_its_bounds(limit: int) -> None:
    assert events_query({"limit": [str(limit)]}).limit == limit


def test_the_nearest_name_is_suggested() -> None:
    assert "Did you mean event_name?" in refused({"evnt_name": ["x"]}).detail
    assert "Did you mean geo.country?" in refused({"fields": ["geo.contry"]}).detail


def test_a_query_that_is_too_long() -> None:
    assert refused({"event_name": ["x" * 20_000]}).code == "query_too_long"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600_000_000_000),
        ("2026-01-01T00:00:00.000000001Z", 1_767_225_600_000_000_001),
        ("2026-01-01T02:00:00+02:00", 1_767_225_600_000_000_000),
        ("2026-01-01T02:00:00 02:00", 1_767_225_600_000_000_000),
        ("2026-01-01 00:00:00", 1_767_225_600_000_000_000),
        ("2026-01-01", 1_767_225_600_000_000_000),
        ("1767225600", 1_767_225_600_000_000_000),
        ("1767225600000", 1_767_225_600_000_000_000),
        ("0001-01-01T00:00:00Z", -(2**63) + 1),
        ("9999-12-31T23:59:59Z", 2**63 - 1),
    ],
)
def test_instants(text: str, nanoseconds: int) -> None:
    assert instant("from", text) == nanoseconds
