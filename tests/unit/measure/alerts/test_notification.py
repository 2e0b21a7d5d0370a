"""What somebody is told: as a line, as text, to machines, and to Slack."""

from __future__ import annotations

import json

from functions.shared.domain import notification
from functions.shared.domain.notification import Notification

NOW = 1_767_225_600_000_000_000
TOLD = Notification(
    "id-1", "alert-1", "firing", "many", "critical", {"environment": "live", "platform": "wëb"},
    "Too <many> & more", "events at 1m > 5", 7.25, NOW, NOW + 60_000_000_000, "production",
)  # fmt: skip


def test_a_subject_is_one_short_line_of_ascii() -> None:
    assert notification.subject(TOLD) == "[FIRING] many{platform=w?b} (critical, production)"
    long = TOLD._replace(rule="x" * 300, tags={"environment": "test", "a": "b\nc"})
    line = notification.subject(long)
    assert len(line) == 100
    assert "\n" not in line
    assert notification.subject(TOLD._replace(event="test")).startswith("[TEST] ")


def test_a_text_says_what_where_how_much_and_since_when() -> None:
    text = notification.text(TOLD)
    for part in ("FIRING: Too <many> & more", "many{platform=wëb}: events at 1m > 5", "value: 7.25", "id: id-1"):
        assert part in text
    assert "firing since: 2026-01-01T00:00:00Z" in text


def test_slack_is_told_what_it_can_show_and_machines_everything() -> None:
    told = json.loads(json.dumps(notification.slack(TOLD), allow_nan=False))
    assert told["text"] == "[FIRING] many{platform=wëb}: Too &lt;many&gt; &amp; more"
    [attachment] = told["attachments"]
    assert attachment["color"] == "#d00000"
    assert {"title": "value", "value": "7.25", "short": True} in attachment["fields"]
    assert told["alert"] == {
        "id": "id-1",
        "alert_id": "alert-1",
        "event": "firing",
        "rule": "many",
        "severity": "critical",
        "tags": {"environment": "live", "platform": "wëb"},
        "summary": "Too <many> & more",
        "condition": "events at 1m > 5",
        "value": 7.25,
        "fired_at": "2026-01-01T00:00:00Z",
        "at": "2026-01-01T00:01:00Z",
        "deployment": "production",
    }


def test_what_recovered_is_green_and_no_value_is_none() -> None:
    told = notification.slack(TOLD._replace(event="recovered", value=None, fired_at=0))
    assert told["attachments"][0]["color"] == "#2eb886"
    assert {"title": "value", "value": "none", "short": True} in told["attachments"][0]["fields"]
    assert told["alert"]["fired_at"] is None
