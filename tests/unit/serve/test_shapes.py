"""Rows as events: complete, in the contract's form, and exactly as sent."""

import csv
import io
import json

import msgspec
import pytest

from functions.serve import formats
from functions.serve.catalogue import FIELDS
from functions.serve.formats import Page, media_of
from functions.serve.shapes import Shape
from tests.unit.serve.fakes import EVENT_ID, values

ODD = '{"b":1.0,"a":1e3, "big":18446744073709551615,"a.b":{"c.d":[1,  2]},"z":null,"s":"a\\u00e9\\"","dup":1,"dup":2}'


def event(source: str = "processed", fields: tuple[str, ...] = (), **changed: object) -> dict[str, object]:
    kind = "raw" if source == "raw" else "processed"
    shape = Shape(kind, fields)
    by_column = dict(zip((f.expression for f in FIELDS[kind] if f.shown), values(kind, **changed), strict=True))
    return shape.event([by_column[expression] for expression in shape.expressions])


def test_a_processed_event_has_the_fields_of_the_contract() -> None:
    assert list(event()) == [
        "event_id", "event_type", "event_name", "platform", "timestamp", "received_at", "processed_at", "session_id",
        "user_id", "user_ref", "anonymous_id", "properties", "context", "geo", "user_agent", "traffic", "page", "bot",
        "time", "flags", "metrics",
    ]  # fmt: skip
    found = json.loads(msgspec.json.encode(event()))
    assert list(found["geo"]) == ["country", "region", "city", "latitude", "longitude", "timezone"]
    assert list(found["user_agent"]) == ["browser", "os", "device"]
    assert list(found["user_agent"]["device"]) == ["family", "brand", "model", "type"]
    assert list(found["traffic"]) == [
        "channel", "source", "medium", "campaign", "term", "content", "click_id", "referrer_domain",
    ]  # fmt: skip
    assert list(found["page"]) == ["url", "host", "path", "query", "title"]
    assert list(found["bot"]) == ["is_bot", "reasons"]
    assert list(found["time"]) == ["timezone", "local_hour", "local_weekday", "original_timestamp"]


def test_what_is_not_there_is_null() -> None:
    found = event()
    assert found["session_id"] is None
    assert found["user_ref"] is None


def test_times_are_rfc_3339() -> None:
    assert event(timestamp=1_767_225_600_000_000_001)["timestamp"] == "2026-01-01T00:00:00.000000001Z"


def test_properties_come_back_exactly_as_sent() -> None:
    text = msgspec.json.encode(event(properties_text=ODD)).decode()
    assert f'"properties":{ODD},' in text


def test_line_breaks_between_tokens_cannot_break_ndjson() -> None:
    text = msgspec.json.encode(event(properties_text='{\n"a":\r\n1}'))
    assert b"\n" not in text
    assert b"\r" not in text


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("b", b"1.0"),
        ("a", b"1e3"),
        ("big", b"18446744073709551615"),
        ("a.b.c.d", b"[1,  2]"),
        ("a.b", b'{"c.d":[1,  2]}'),
        ("z", b"null"),
        ("dup", b"2"),
    ],
)
def test_a_path_gives_its_value_exactly_as_sent(path: str, sent: bytes) -> None:
    found = event(fields=(f"properties.{path}",), properties_text=ODD)
    assert sent in msgspec.json.encode(found)


@pytest.mark.parametrize("path", ["nope", "a.nope", "b.c", "a.b.c", "s.x", "."])
def test_a_path_that_is_not_there_is_left_out(path: str) -> None:
    assert event(fields=("event_id", f"properties.{path}"), properties_text=ODD) == {"event_id": EVENT_ID}


def test_fields_choose_and_keep_their_order() -> None:
    found = event(fields=("properties.b", "geo", "event_id"), properties_text=ODD, geo_country="DE")
    assert list(found) == ["properties", "geo", "event_id"]
    assert list(found["geo"]) == ["country", "region", "city", "latitude", "longitude", "timezone"]  # type: ignore[call-overload]


def test_a_part_of_what_is_there_as_a_whole_changes_nothing() -> None:
    found = event(fields=("properties", "properties.b"), properties_text=ODD)
    assert msgspec.json.encode(found).decode() == f'{{"properties":{ODD}}}'
    assert list(event(fields=("properties.b", "properties"), properties_text=ODD)) == ["properties"]


def test_the_faults_of_a_failed_event() -> None:
    faults = '[{"loc":["platform"],"code":"required","message":"m"}]'
    found = json.loads(msgspec.json.encode(event("raw", error_message=faults)))
    assert found["errors"] == json.loads(faults)
    refused = event("raw", error_message="too many")["errors"]
    assert refused == [{"loc": [], "code": "store_refused", "message": "too many"}]


class TestCsv:
    def cells(self, fields: tuple[str, ...], **changed: object) -> dict[str, str]:
        shape = Shape("processed", fields)
        by_column = dict(zip((f.expression for f in FIELDS["processed"] if f.shown), values(**changed), strict=True))
        line = formats.line("text/csv", shape, [by_column[expression] for expression in shape.expressions])
        page = Page([line], None, False)
        body = formats.answer("text/csv", page, shape, "/", {}).body
        assert body.endswith("\r\n")
        [row] = csv.DictReader(io.StringIO(body, newline=""))
        return row

    def test_one_column_a_field(self) -> None:
        row = self.cells(("event_id", "geo", "bot.is_bot", "flags", "properties"), properties_text=ODD, flags=["a"])
        assert list(row)[:3] == ["event_id", "geo.country", "geo.region"]
        assert row["geo.country"] == ""
        assert row["bot.is_bot"] == "false"
        assert row["flags"] == '["a"]'
        assert row["properties"] == ODD

    def test_values_inside(self) -> None:
        row = self.cells(("properties.s", "properties.b", "properties.z", "properties.a.b.c.d"), properties_text=ODD)
        assert list(row.values()) == ['aé"', "1.0", "", "[1,  2]"]

    @pytest.mark.parametrize("text", ['a"b', "a,b", "a\r\nb", " a ", "=1+1", "é"])
    def test_any_text_survives(self, text: str) -> None:
        assert self.cells(("event_name",), event_name=text)["event_name"] == text


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("text/csv", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json, text/csv", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=x", "application/json"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        (",;,q=", "application/json"),
    ],
)
def test_the_form_a_client_asks_for(accept: str, media: str) -> None:
    assert media_of(accept) == media
