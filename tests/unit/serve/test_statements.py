"""Statements and cursors: client values travel beside the SQL, never in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.serve import cursor, events_sql
from functions.serve.cursor import Position
from functions.serve.params import DocumentFilter, EventQuery
from functions.serve.shapes import Shape
from functions.shared.errors import BadRequest

POSITION = Position(1_767_225_600_000_000_000, "018f0000-0000-7000-8000-00000000000a")


def page(query: EventQuery, after: Position | None = None) -> tuple[str, dict[str, object]]:
    statement = events_sql.page(query, after, Shape(query.source, ("event_id",)))
    return statement.sql, dict(statement.parameters)


class TestPage:
    def test_the_plainest(self) -> None:
        sql, parameters = page(EventQuery())
        own = "NOT (startsWith(key_id, 'test') OR startsWith(key_id, 'wk_test'))"
        assert sql.endswith(
            f"FROM processed_events WHERE {own} ORDER BY timestamp DESC, toString(event_id) DESC LIMIT 101"
        )
        assert parameters == {}

    def test_raw_is_another_table(self) -> None:
        assert "FROM raw_events" in page(EventQuery(source="raw"))[0]

    def test_the_range_is_half_open(self) -> None:
        sql, parameters = page(EventQuery(since=1, until=2))
        assert "timestamp >= fromUnixTimestamp64Nano({p0:Int64})" in sql
        assert "timestamp < fromUnixTimestamp64Nano({p1:Int64})" in sql
        assert parameters == {"p0": 1, "p1": 2}

    @pytest.mark.parametrize(("order", "sign"), [("desc", "<"), ("asc", ">")])
    def test_the_next_page_begins_strictly_behind(self, order: str, sign: str) -> None:
        sql, parameters = page(EventQuery()._replace(order="asc" if order == "asc" else "desc"), POSITION)
        assert f"timestamp {sign}= fromUnixTimestamp64Nano({{p0:Int64}})" in sql
        assert f"toString(event_id) {sign} {{p1:String}}" in sql
        assert list(parameters.values()) == list(POSITION)

    def test_one_value_is_equal_and_several_are_in(self) -> None:
        assert "event_name = {p0:String}" in page(EventQuery(equal=(("event_name", ("a",)),)))[0]
        sql, parameters = page(EventQuery(equal=(("user_id", ("a", "b")),)))
        assert "user_id IN {p0:Array(UUID)}" in sql
        assert parameters == {"p0": ["a", "b"]}

    def test_only_the_columns_asked_for_are_read(self) -> None:
        assert "properties_text" not in page(EventQuery())[0]
        everything = events_sql.page(EventQuery(), None, Shape("processed")).sql
        assert "properties_text" in everything
        assert "stored_at" not in everything

    @settings(max_examples=1000)
    @given(
        st.text() | st.sampled_from(["`", "a`b"]),
        st.text() | st.floats().map(str) | st.integers().map(str),
        st.sampled_from(("eq", "ne", "gt", "gte", "lt", "lte", "contains", "exists")),
    )
    def test_no_value_and_no_path_ever_stands_in_the_sql(self, path: str, value: str, operator: str) -> None:
        def shape(path: str, value: str) -> str:
            one = DocumentFilter("properties", path, operator, (value,))  # type: ignore[arg-type]
            return re.sub(r"p\d+", "p", page(EventQuery(documents=(one,)))[0])

        sql = shape(path, value)
        # Three kinds of value (text, whole number, other number), yes or no, and a backtick in the path: nothing else
        # can make a difference.
        assert sql in {shape(p, v) for p in ("a", "`") for v in ("text", "7", "7.0", "true", "false")}


class TestCursor:
    def test_comes_back_as_it_was(self) -> None:
        bound_to = cursor.scope(EventQuery())
        assert cursor.decode(cursor.encode(POSITION, bound_to), bound_to) == POSITION

    def test_is_safe_in_a_url(self) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor.encode(POSITION, "x"))

    def test_page_size_and_fields_may_change(self) -> None:
        assert cursor.scope(EventQuery()) == cursor.scope(EventQuery(limit=7, fields=("event_id",), cursor="x"))

    @pytest.mark.parametrize(
        "other",
        [
            EventQuery(order="asc"),
            EventQuery(order_by="stored_at"),
            EventQuery(source="raw"),
            EventQuery(since=1),
            EventQuery(equal=(("event_name", ("a",)),)),
            EventQuery(documents=(DocumentFilter("properties", "a", "eq", ("b",)),)),
        ],
    )
    def test_of_another_query_is_refused(self, other: EventQuery) -> None:
        token = cursor.encode(POSITION, cursor.scope(EventQuery()))
        with pytest.raises(BadRequest, match="another query"):
            cursor.decode(token, cursor.scope(other))

    def test_any_change_is_noticed(self) -> None:
        token = cursor.encode(POSITION, "x")
        for place in range(len(token) - 1):
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            with pytest.raises(BadRequest) as caught:
                cursor.decode(changed, "x")
            assert caught.value.code == "bad_cursor"

    @given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,90}", fullmatch=True))
    def test_anything_else_is_refused(self, token: str) -> None:
        with pytest.raises(BadRequest):
            cursor.decode(token, "x")
