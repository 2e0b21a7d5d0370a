"""Every line of the real log becomes an event, and what a line means."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from functions.shared.domain import ids
from infra.cli.importing import access_log
from infra.cli.importing.records import records, survey
from schemas.limits import Limits
from schemas.validation import Validator

LOG = Path(__file__).parents[3] / "events_samples" / "web-log" / "access.log.gz"
SITE = "semicomplete.com"
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"


def line(request: str = "GET /a HTTP/1.1", status: str = "200", size: str = "12", referrer: str = "-") -> str:
    return f'10.0.0.1 - - [18/May/2015:11:05:47 +0200] "{request}" {status} {size} "{referrer}" "{AGENT}"'


def parsed(text: str) -> dict[str, Any]:
    found = access_log.parse(text, SITE)
    assert found is not None
    return found


def test_all_of_the_real_log_is_accounted_for() -> None:
    source = survey(LOG)
    found = list(records(source, "access-log", 0, SITE))
    assert source.lines == len(found) == 10_000
    checked = Validator(Limits()).check([record.body for record in found])
    assert {found[index].line: [fault.code for fault in faults] for index, faults in checked.faults.items()} == {
        8899: ["required"]
    }
    assert not checked.warnings
    events = [json.loads(record.body) for record in found]
    assert len({event["event_id"] for event in events}) == 10_000
    assert Counter(event["event_type"] for event in events) == {
        "asset_request": 5348,
        "page_view": 4396,
        "http_error": 220,
        "http_request": 36,
    }


def test_the_truncated_line_keeps_what_it_has() -> None:
    source = survey(LOG)
    (cut,) = (record for record in records(source, "access-log", 8898, SITE) if record.line == 8899)
    event = json.loads(cut.body)
    assert "event_name" not in event
    assert event["event_id"] == ids.named("line", f"{source.sha256}:8899")
    assert event["timestamp"] == "2015-05-20T12:05:17+00:00"
    assert event["context"]["ip"] == "46.118.127.106"
    assert event["properties"]["raw"].endswith("+http://www.google.com/bot.html")


def test_a_page_view() -> None:
    assert parsed(line("GET /a/b?q=1#x HTTP/1.1", referrer="http://r.example/")) == {
        "event_type": "page_view",
        "event_name": "/a/b",
        "platform": "web",
        "timestamp": "2015-05-18T11:05:47+02:00",
        "context": {
            "ip": "10.0.0.1",
            "user_agent": AGENT,
            "page": {"url": f"http://{SITE}/a/b?q=1#x", "referrer": "http://r.example/"},
        },
        "properties": {"method": "GET", "status": 200, "bytes": 12, "protocol": "HTTP/1.1", "path": "/a/b"},
    }


@pytest.mark.parametrize(
    ("request_line", "status", "expected"),
    [
        ("GET /style.CSS?v=2 HTTP/1.1", "200", "asset_request"),
        ("GET /style.css HTTP/1.1", "404", "http_error"),
        ("POST /form HTTP/1.1", "200", "http_request"),
        ("HEAD / HTTP/1.0", "301", "http_request"),
        ("GET / HTTP/1.0", "500", "http_error"),
        ("GET /old HTTP/1.1", "301", "page_view"),
        (r"\x16\x03\x01", "400", "http_error"),
        ("-", "408", "http_error"),
    ],
)
def test_the_type_of_a_request(request_line: str, status: str, expected: str) -> None:
    found = parsed(line(request_line, status))
    assert found["event_type"] == expected
    assert found["event_name"]


def test_a_long_path_is_cut_in_the_name_only() -> None:
    path = "/" + "x" * 600
    found = parsed(line(f"GET {path} HTTP/1.1"))
    assert (len(found["event_name"]), found["properties"]["path"]) == (256, path)


def test_nothing_sent_is_nothing_said_but_for_the_user_agent() -> None:
    found = parsed(line(size="-").replace(AGENT, "-"))
    assert found["properties"]["bytes"] == 0
    assert "referrer" not in found["context"]["page"]
    assert found["context"]["user_agent"] == "-"


def test_the_common_format_and_escaped_quotes() -> None:
    assert parsed('::1 - ann [18/May/2015:11:05:47 -0030] "GET / HTTP/1.1" 200 5')["user_id"] == "ann"
    assert parsed(line(referrer=r"a\"b"))["context"]["page"]["referrer"] == 'a"b'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        line()[:-1],
        line()[:60],
        line().replace("May", "Mai"),
        line().replace("18/May", "31/Feb"),
        line(size="many"),
    ],
)
def test_what_cannot_be_read_is_sent_to_be_stored_as_failed(text: str) -> None:
    assert access_log.parse(text, SITE) is None
    body = access_log.event(text.encode(), "0" * 64, 7, SITE)
    checked = Validator(Limits()).check([body])
    assert [fault.loc for fault in checked.faults[0]] == [("event_name",)]
    event = json.loads(body)
    assert event["event_id"] == ids.named("line", f"{'0' * 64}:7")
    assert event["properties"]["raw"] == text


def test_a_line_that_is_no_utf_8_is_kept_readable() -> None:
    event = json.loads(access_log.event(line().encode().replace(b"/a", b"/\xe4"), "0" * 64, 1, SITE))
    assert event["event_name"] == r"/\xe4"
