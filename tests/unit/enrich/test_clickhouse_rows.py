"""Rows as ClickHouse reads them: texts that are JSON objects go as they are, everything else as JSON."""

import json

import pytest

from functions.shared.adapters.clickhouse_rows import Rows
from functions.shared.errors import StoreRefused
from schemas.rows import RawRow
from tests.support.deliveries import NOW, delivery

ATTEMPT = "00000000-0000-4000-8000-000000000001"


def written(*rows: RawRow) -> list[list[object]]:
    text = b"".join(Rows(RawRow._fields, ATTEMPT, rows)).replace(b"]\n[", b"],[")
    found: list[list[object]] = json.loads(b"[" + text + b"]")
    return found


def test_a_row_goes_with_its_attempt_and_times_as_digits() -> None:
    one = delivery(queued_at=NOW + 1).raw
    (values,) = written(one)
    row = dict(zip((*RawRow._fields, "attempt_id"), values, strict=True))
    assert row["attempt_id"] == ATTEMPT
    assert [row[name] for name in ("timestamp", "queued_at")] == [str(NOW), str(NOW + 1)]
    assert row["batch_index"] == 0
    assert row["user_id"] is None


@pytest.mark.parametrize("count", [1, 49, 50, 51, 101])
def test_every_row_goes_once_and_in_order(count: int) -> None:
    rows = [delivery(batch_index=index, timestamp=NOW + index).raw for index in range(count)]
    place = RawRow._fields.index("batch_index")
    assert [values[place] for values in written(*rows)] == list(range(count))


def test_a_valid_event_is_not_escaped_and_what_failed_or_is_no_bare_object_is() -> None:
    place = RawRow._fields.index("raw_data")
    text = '{"a" : "\\u00e9\\"]" }'
    valid, spaced = delivery(raw_data=text).raw, delivery(raw_data=f" {text}").raw
    failed = delivery(raw_data='{"a":', failed=True).raw
    assert text.encode() in b"".join(Rows(RawRow._fields, ATTEMPT, [valid]))
    assert [values[place] for values in written(valid, spaced, failed)] == [{"a": 'é"]'}, f" {text}", '{"a":']


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(StoreRefused):
        list(Rows(RawRow._fields, ATTEMPT, [delivery(event_name="\ud800").raw]))
    with pytest.raises(StoreRefused):
        list(Rows(RawRow._fields, ATTEMPT, [delivery(raw_data='{"a":"\ud800"}').raw]))


def test_a_body_that_is_sent_again_is_whole() -> None:
    body = Rows(RawRow._fields, ATTEMPT, [delivery().raw for _ in range(120)])
    next(iter(body))
    assert list(body) == list(body)
    assert len(list(body)) == 3
