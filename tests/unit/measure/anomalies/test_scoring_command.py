"""`weir anomalies score`: what goes in, what comes out, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import anomalies
from infra.cli.scoring.rows import timestamp_of

runner = CliRunner()
app = typer.Typer()
app.callback()(lambda: None)
anomalies.register(app)
SECOND = 1_000_000_000


def score(text: str, *options: str) -> tuple[int, str, str]:
    done = runner.invoke(app, ["anomalies", "score", *options, "-"], input=text)
    return done.exit_code, done.stdout, done.stderr


def test_rows_come_back_in_their_order_and_words() -> None:
    text = "Value,host,Timestamp\n1.50,a,2026-01-01T02:00:00Z\n2,b,2026-01-01 01:00:00\n"
    status, out, said = score(text)
    assert status == 0
    assert out.splitlines() == [
        "timestamp,value,score,is_anomaly",
        "2026-01-01T02:00:00Z,1.50,0.0000,false",
        "2026-01-01 01:00:00,2,0.0000,false",
    ]
    assert "1 out of order" in said


def test_a_spike_is_told() -> None:
    rows = [f"{1_767_225_600 + 3600 * place},{100 + place % 3}" for place in range(200)] + ["1767945600,900"]
    status, out, _ = score("timestamp,value\n" + "\n".join(rows) + "\n")
    flagged = [line for line in out.splitlines() if line.endswith(",true")]
    assert status == 0
    assert [line.split(",")[0] for line in flagged] == ["1767945600"]


def test_rows_without_a_value_and_repeated_ones_are_counted_and_kept() -> None:
    text = "timestamp,value\n1,5\n2,5\n3,5\n4,5\n5,\n6,NaN\n7,5\n7,5000\n"
    status, out, said = score(text)
    lines = out.splitlines()
    assert status == 0
    assert lines[5:7] == ["5,,,false", "6,NaN,,false"]
    assert lines[7].endswith("false")
    assert lines[8].endswith("true")
    assert "2 without a value" in said
    assert "1 with a timestamp seen before" in said


def test_unsorted_rows_are_judged_as_sorted_ones() -> None:
    rows = [f"{3600 * place},{100 + place % 5}" for place in range(100)]
    _, straight, _ = score("timestamp,value\n" + "\n".join(rows) + "\n")
    _, turned, _ = score("timestamp,value\n" + "\n".join(reversed(rows)) + "\n")
    assert sorted(straight.splitlines()) == sorted(turned.splitlines())


def test_streaming_tells_the_same_and_refuses_what_is_late() -> None:
    text = "timestamp,value\n" + "".join(f"{60 * place},{place % 4}\n" for place in range(50))
    assert score(text, "--stream")[:2] == score(text)[:2]
    status, _, said = score("timestamp,value\n5,1\n4,1\n", "--stream")
    assert status == 1
    assert "Line 3" in said


def test_json_has_the_band_too() -> None:
    status, out, _ = score("timestamp,value\n1,5\n2,5\n3,5\n4,5\n", "--json")
    last = json.loads(out)["rows"][-1]
    assert status == 0
    assert last["lower"] <= last["expected"] <= last["upper"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("time,value\n1,2\n", "no column timestamp"),
        ("timestamp,value\n1,2\nsoon,3\n", "line 3: 'soon' is no timestamp"),
        ("timestamp,value\n1,2\n2,abc\n", "line 3: 'abc' is no number"),
        ("timestamp,value\n1,inf\n", "line 2: 'inf' is no finite number"),
        ("timestamp,value\n1\n", "line 2: has 1 columns"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, told: str) -> None:
    status, _, said = score(text)
    assert status == 1
    assert told in said


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_bytes("\ufefftimestamp,value\r\n1,2\r\n".encode())
    done = runner.invoke(app, ["anomalies", "score", str(path)])
    assert done.stdout.splitlines()[1] == "1,2,0.0000,false"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T01:00:01+01:00", SECOND),
        ("1970-01-01 00:00:01", SECOND),
        ("1", SECOND),
        ("1.5", SECOND * 3 // 2),
        ("1767225600000", 1_767_225_600 * SECOND),
        ("1767225600000000", 1_767_225_600 * SECOND),
        ("1767225600000000001", 1_767_225_600 * SECOND + 1),
    ],
)
def test_timestamps_are_read_in_their_unit(text: str, expected: int) -> None:
    assert timestamp_of(text) == expected
