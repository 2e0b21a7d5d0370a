"""An event goes from an HTTP request to both tables and back out of the query API, on every host of the API."""

import gzip
import json
import uuid
from typing import Any

import clickhouse_connect
import httpx
import pytest

from infra.local.stack import Stack
from tests.e2e.hosts import on_every_host
from tests.support.polling import until

pytestmark = on_every_host


def event(**changed: Any) -> dict[str, Any]:
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "page_view",
        "event_name": "Product Viewed",
        "platform": "web",
        "properties": {"amount": 19.5, "plan": "pro", "n": 7},
        "context": {"page": {"url": "https://shop.example.com/a?utm_source=news&utm_medium=email"}},
        **changed,
    }


def found(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/events", params=params)
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


def count(stack: Stack, table: str, event_id: str) -> int:
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url, database="weir") as store:
        query = f"SELECT count() FROM {table} WHERE event_id = {{id:UUID}}"
        return int(store.query(query, parameters={"id": event_id}).result_rows[0][0])


def test_the_good_events_of_a_batch_come_back_enriched_and_the_bad_ones_are_found_as_failed(
    client: httpx.Client,
) -> None:
    good, bad = event(), event(event_type="")
    answer = client.post("/api/v1/events/batch", json={"events": [good, bad]})
    assert answer.status_code == 202
    said = answer.json()
    assert (said["received"], said["accepted"], said["rejected"]) == (2, 1, 1)
    assert [(one["index"], one["result"], one["errors"][0]["code"]) for one in said["results"]] == [
        (1, "drop", "too_short")
    ]
    until(lambda: len(found(client, event_id=good["event_id"])) == 1, 20, "the good event")
    stored = found(client, event_id=good["event_id"])[0]
    assert stored["properties"] == good["properties"]
    assert (stored["traffic"]["channel"], stored["page"]["path"]) == ("email", "/a")
    until(lambda: len(found(client, source="raw", status="failed", event_id=bad["event_id"])) == 1, 20, "the bad one")
    batch = client.get(f"/api/v1/batches/{said['batch_id']}").json()
    assert (batch["stored"], batch["failed"]) == (1, 1)


def test_waiting_for_the_store_answers_with_the_processed_event(client: httpx.Client) -> None:
    sent = event()
    answer = client.post("/api/v1/events?wait=stored", json=sent)
    assert answer.status_code == 201, answer.text
    assert answer.json()["event"]["event_id"] == sent["event_id"]
    trace = client.get(f"/api/v1/events/{sent['event_id']}/trace")
    assert trace.status_code == 200


def test_an_event_that_comes_again_with_other_times_and_in_other_batches_counts_once(
    client: httpx.Client, stack: Stack
) -> None:
    sent = event()
    for timestamp in ("2026-01-01T00:00:00Z", "2026-03-01T00:00:00.001Z", "2025-12-31T23:59:59Z"):
        batch = {"events": [{**sent, "timestamp": timestamp}, event()], "sent_at": timestamp}
        assert client.post("/api/v1/events/batch", json=batch).status_code == 202
    bad = {**sent, "platform": ""}
    assert client.post("/api/v1/events", json=bad).status_code == 400
    marker = event()
    assert client.post("/api/v1/events?wait=stored", json=marker).status_code == 201
    until(lambda: count(stack, "processed_events", sent["event_id"]) == 1, 20, "one row")
    until(lambda: count(stack, "raw_events", sent["event_id"]) == 1, 20, "one raw row")
    assert len(found(client, event_id=sent["event_id"])) == 1


def test_a_failed_event_is_replaced_by_a_good_delivery(client: httpx.Client, stack: Stack) -> None:
    sent = event()
    assert client.post("/api/v1/events", json={**sent, "event_name": ""}).status_code == 400
    until(lambda: count(stack, "raw_events", sent["event_id"]) == 1, 20, "the failed row")
    answer = client.post("/api/v1/events?wait=stored", json=sent)
    assert answer.status_code == 201, answer.text
    until(lambda: len(found(client, event_id=sent["event_id"])) == 1, 20, "the good row")
    until(lambda: count(stack, "raw_events", sent["event_id"]) == 1, 20, "the failed row's end")


def test_a_dry_run_shows_the_rows_and_stores_nothing(client: httpx.Client, stack: Stack, host: str) -> None:
    sent = event()
    answer = client.post("/api/v1/events?dry_run=true", json=sent)
    if host == "sam":
        # Nothing answers for Lambda's API there (docs/hosts.md).
        assert answer.status_code == 503
        return
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["raw"][0]["event_id"] == said["processed"][0]["event_id"] == sent["event_id"]
    assert count(stack, "raw_events", sent["event_id"]) == 0


def test_an_idempotency_key_gives_the_same_ids_again(client: httpx.Client) -> None:
    body = event()
    del body["event_id"]
    header = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (client.post("/api/v1/events", json=body, headers=header).json() for _ in range(2))
    assert first["event_id"] == second["event_id"]


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/json", "text/plain"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_of_body_is_read(client: httpx.Client, host: str, media_type: str, packed: bool) -> None:
    events = [event(), event()]
    text = "\n".join(map(json.dumps, events)) if "ndjson" in media_type else json.dumps(events)
    body = gzip.compress(text.encode()) if packed else text.encode()
    if packed and host == "sam" and "ndjson" in media_type:
        # Bytes are handed over whole only under a type that does not say that these are lines (docs/hosts.md).
        return
    answer = client.post("/api/v1/events/batch", content=body, headers=declared(host, media_type, packed))
    assert (answer.status_code, answer.json().get("accepted")) == (202, 2)


def test_a_media_type_that_is_not_known_is_told_so(client: httpx.Client) -> None:
    answer = client.post("/api/v1/events", data={"event_type": "x"})
    assert answer.status_code == 415
    assert answer.headers["content-type"].startswith("application/problem+json")


def declared(host: str, media_type: str, packed: bool) -> dict[str, str]:
    """What says that a body is gzip where its own first bytes are not enough."""
    if packed and host == "sam":
        return {"Content-Type": "application/gzip"}
    if packed and host == "process":
        return {"Content-Type": media_type, "Content-Encoding": "gzip"}
    return {"Content-Type": media_type}


GOOD = json.dumps(event()).encode()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (gzip.compress(b"[" + GOOD + b"]")[:-9], 400, "truncated_gzip"),
        (gzip.compress(b" " * (17 * 1024 * 1024)), 413, "inflated_too_large"),
        (b"x" * (4 * 1024 * 1024 + 1), 413, "request_too_large"),
        (b"[" * 100_000, 400, "too_deep"),
        (b"[" + b",".join([b"{}"] * 5001) + b"]", 413, "too_many_events"),
        (b'{"events":[]}', 400, "empty_batch"),
        (b"", 400, "malformed_json"),
        (b'{"events":7}', 400, "not_a_batch"),
        (b'{"events":[{}],"sent_at":{}}', 400, "bad_timestamp"),
        (b"[{}]", 400, "all_rejected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_body_is_answered_with_a_problem_that_names_the_fault(
    client: httpx.Client, host: str, body: bytes, status: int, code: str
) -> None:
    whole = body.startswith(b"\x1f\x8b") and host != "laptop"
    media_type = "application/gzip" if whole else "application/json"
    answer = client.post("/api/v1/events/batch", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-request-id"]
    assert answer.json().get("code", code) == code


def test_the_service_describes_itself(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    ready = client.get("/ready")
    assert ready.status_code == 200, ready.text
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert "html" in client.get("/docs").headers["content-type"]
    assert client.get("/api/v1/status").status_code == 200
    assert client.get("/api/v1/properties").status_code == 200
