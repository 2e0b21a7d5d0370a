"""Schemas as clients meet them: a registry of its own, named by WEIR_SCHEMAS_PATH (see conftest)."""

import uuid
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.parametrize("stack", ["nats"], indirect=True)


def send(client: httpx.Client, name: str, properties: dict[str, Any], **params: str) -> httpx.Response:
    event_id = str(uuid.uuid4())
    event = {"event_id": event_id, "event_type": "t", "event_name": name, "platform": "server"}
    return client.post("/api/v1/events", json={**event, "properties": properties}, params=params)


def raw(client: httpx.Client, event_id: str) -> dict[str, Any]:
    answer = client.get("/api/v1/events", params={"source": "raw", "event_id": event_id})
    (found,) = answer.json()["events"]
    return dict(found)


def test_an_enforced_schema_fails_the_event_and_says_where(client: httpx.Client) -> None:
    answer = send(client, "Schema: paid", {"amount": -1, "by": "ann@example.org"}, wait="stored")
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["code"], error["loc"]) == ("schema_violation", ["properties", "amount"])
    assert "ann" not in answer.text
    kept = raw(client, answer.json()["event_id"])
    assert (kept["processing_status"], kept["error_codes"]) == ("failed", ["schema_violation"])
    assert send(client, "Schema: paid", {"amount": 1}, wait="stored").status_code == 201


def test_a_schema_that_warns_flags_the_event_and_keeps_it(client: httpx.Client) -> None:
    answer = send(client, "Schema: seen", {"plan": "gold"}, wait="stored")
    assert answer.status_code == 201, answer.text
    assert "schema_violation" in answer.json()["event"]["flags"]
    kept = raw(client, answer.json()["event_id"])
    assert (kept["processing_status"], kept["errors"][0]["loc"]) == ("processed", ["properties", "plan"])
    good = send(client, "Schema: seen", {"plan": "pro"}, wait="stored")
    assert good.json()["event"]["flags"] == []


def test_a_dry_run_shows_the_verdict(client: httpx.Client) -> None:
    shown = send(client, "Schema: paid", {}, dry_run="true").json()
    assert (shown["processed"], shown["raw"][0]["error_codes"]) == ([], ["schema_violation"])
