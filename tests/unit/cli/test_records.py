"""Files of each format as records: whose identity they have, and what is broken."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from functions.shared.domain import ids
from infra.cli.client import CommandError
from infra.cli.importing.records import Record, records, survey

HEADER = "event_type,event_name,platform"


def read(path: Path, file_format: str, skip: int = 0) -> list[Record]:
    return list(records(survey(path), file_format, skip, "site.test"))


def rows(path: Path, text: str) -> list[dict[str, Any]]:
    path.write_text(text)
    return [json.loads(record.body) for record in read(path, "csv")]


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.gz"
    plain.write_bytes(b"one\ntwo")
    packed.write_bytes(gzip.compress(b"one\ntwo"))
    assert survey(plain)[1:] == survey(packed)[1:] == (hashlib.sha256(b"one\ntwo").hexdigest(), 2)
    assert read(plain, "access-log") == read(packed, "access-log")


def test_a_cut_gzip_file_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n" * 1000)[:-9])
    with pytest.raises(CommandError, match="not a whole gzip file"):
        survey(path)


def test_equal_lines_are_different_events_and_stay_the_same_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("same\nsame\n")
    first = read(path, "access-log")
    own = [json.loads(record.body)["event_id"] for record in first]
    assert own == [ids.named("line", f"{survey(path).sha256}:{number}") for number in (1, 2)]
    assert read(path, "access-log", skip=1) == first[1:]


def test_ndjson_lines_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    own = '{"event_id":"00000000-0000-4000-8000-000000000001", "n":1.10}'
    path.write_text(f'{own}\n\n{{broken\n[1]\n {{"n":1.10}}\n{{}}\n{{"event_id":"","n":1}}\n')
    found = read(path, "ndjson")
    named = [ids.named("line", f"{survey(path).sha256}:{number}") for number in (5, 6, 7)]
    assert [(record.line, record.body.decode()) for record in found] == [
        (1, own),
        (3, "{broken"),
        (4, "[1]"),
        (5, f'{{"event_id":"{named[0]}","n":1.10}}'),
        (6, f'{{"event_id":"{named[1]}"}}'),
        (7, f'{{"event_id":"{named[2]}","n":1}}'),
    ]


def test_csv_columns_are_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    columns = "timestamp,user_id,properties.amount,properties.ok,properties.code,context.page.url,context.campaign.term"
    (event,) = rows(
        path, f'\ufeff{HEADER},{columns}\npurchase,"buy, now",web,1700000000,42,-9.5e1,true,007,http://a/b,2015\n'
    )
    assert event == {
        "event_id": ids.named("line", f"{survey(path).sha256}:2"),
        "event_type": "purchase",
        "event_name": "buy, now",
        "platform": "web",
        "timestamp": 1700000000,
        "user_id": "42",
        "properties": {"amount": -95.0, "ok": True, "code": "007"},
        "context": {"page": {"url": "http://a/b"}, "campaign": {"term": "2015"}},
    }


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("1.5", 1.5),
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), str(2**64)),
        ("9" * 5000, "9" * 5000),
        ("1e999", "1e999"),
        ("+1", "+1"),
        ("1_000", "1_000"),
        ("NaN", "NaN"),
        ("false", False),
        (" x ", " x "),
    ],
)
def test_csv_numbers(tmp_path: Path, cell: str, value: Any) -> None:
    (event,) = rows(tmp_path / "a.csv", f"{HEADER},properties.v\na,b,web,{cell}\n")
    assert event["properties"] == {"v": value}
    assert type(event["properties"]["v"]) is type(value)


def test_csv_rows_of_another_length(tmp_path: Path) -> None:
    own = "00000000-0000-4000-8000-000000000001"
    found = rows(tmp_path / "a.csv", f"{HEADER},event_id\na,b,web,{own}\n\na,b\na,b,web,,too much\n")
    assert found[0]["event_id"] == own
    assert "platform" not in found[1]
    assert "event_name" not in found[2]
    assert json.loads(found[2]["properties"]["raw"])[-1] == "too much"


def test_csv_objects_and_places_within_them(tmp_path: Path) -> None:
    (event,) = rows(tmp_path / "a.csv", f'{HEADER},properties.a,properties\na,b,web,2,"{{""a"":1,""c"":3}}"\n')
    assert event["properties"] == {"a": 2, "c": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no event_type"),
        ("event_type,event_name\n", "no platform"),
        (f"{HEADER},platform\n", "Two columns"),
        (f"{HEADER},properties.\n", "names no field"),
        (f"{HEADER},properties.a,properties.a.b\n", "cannot stand beside"),
        (f'{HEADER}\na,"b\n', "line 2: this is no CSV"),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        rows(tmp_path / "a.csv", text)
