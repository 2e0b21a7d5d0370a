"""SQS as the broker, through the emulator's own event source mapping: what its limits and its manner ask for."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
import httpx
import pytest

from infra.local.functions import client as aws
from infra.local.paths import ROOT
from infra.local.stack import Stack
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("stack", ["sqs"], indirect=True)
RECORDS = json.loads((ROOT / "events_samples/aws/sqs-batch.json").read_text())["Records"]
SAMPLE_ID = "0193a1b2-c3d4-7e5f-8a9b-000000000040"
MARKER = {"event_type": "t", "event_name": "n", "platform": "p"}
REFUSED = '"error":"NewerEnvelope"'
# What only a newer release can read: nothing is wrong with it, so it is neither stored as failed nor acknowledged.
POISON = '{"v":99,"batch_id":"0193a1b2-c3d4-7e5f-8a9b-0000000000f0"}'
# Longer than enrich takes for a few messages, or good ones would come again as well.
TRIES, SECONDS_A_TRY = 2, 8
STRING = "ü" * 16_000
COUNT = 40


def rows(stack: Stack, ids: list[str]) -> list[tuple[Any, ...]]:
    """Id and size of the properties of each row there is."""
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url, database="weir") as store:
        columns = "toString(event_id), length(properties_text)"
        sql = f"SELECT {columns} FROM processed_events WHERE event_id IN {{ids:Array(UUID)}}"
        return [tuple(row) for row in store.query(sql, parameters={"ids": ids}).result_rows]


def envelope(event_id: str) -> str:
    """The body of a message with that event."""
    body: str = RECORDS[0]["body"].replace(SAMPLE_ID, event_id)
    assert event_id in body
    return body


@contextmanager
def given_up_soon(stack: Stack) -> Iterator[tuple[str, str]]:
    """The deployed queue with its own mapping, that gives messages up sooner. Gives its address and the dead's."""
    assert stack.functions is not None
    queue, url = aws("sqs", stack.emulator_url), stack.functions.queue_url
    names = ["VisibilityTimeout", "RedrivePolicy"]
    deployed = queue.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    policy = json.loads(deployed["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == 100
    soon = {**policy, "maxReceiveCount": TRIES}
    attributes = {"VisibilityTimeout": str(SECONDS_A_TRY), "RedrivePolicy": json.dumps(soon)}
    queue.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    try:
        yield url, queue.get_queue_url(QueueName=policy["deadLetterTargetArn"].rsplit(":", 1)[1])["QueueUrl"]
    finally:
        queue.set_queue_attributes(QueueUrl=url, Attributes=deployed)


def test_a_poison_message_costs_no_neighbour_and_is_dead_after_its_tries(client: httpx.Client, stack: Stack) -> None:
    queue = aws("sqs", stack.emulator_url)
    assert client.post("/api/v1/events?wait=stored", json=MARKER).status_code in (201, 202)
    ids = [str(uuid.uuid4()) for _ in range(4)]
    log = stack.logs_dir / "functions.log"
    before = log.read_text().count(REFUSED) if log.exists() else 0
    with given_up_soon(stack) as (url, dead_url):
        bodies = [envelope(ids[0]), envelope(ids[1]), POISON, envelope(ids[2]), envelope(ids[3])]
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
        assert len(queue.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == len(bodies)
        until(lambda: len(rows(stack, ids)) == len(ids), 30, "the good messages in the store")
        until(lambda: client.get("/api/v1/status").json()["queue"]["ready"] == 0, 30, "an empty queue")
        found: list[dict[str, Any]] = []

        def dead() -> bool:
            found.extend(queue.receive_message(QueueUrl=dead_url, MaxNumberOfMessages=10).get("Messages", []))
            return bool(found)

        until(dead, 60, "the poison among the dead letters")
        assert [one["Body"] for one in found] == [POISON]
        queue.delete_message(QueueUrl=dead_url, ReceiptHandle=found[0]["ReceiptHandle"])
    # It alone came again: each try named it, and not its neighbours.
    until(lambda: log.read_text().count(REFUSED) - before >= TRIES, 30, "each of its tries in the log")
    assert sorted(event_id for event_id, _ in rows(stack, ids)) == sorted(ids)


def test_a_batch_over_the_size_of_a_message_is_split_and_nothing_of_it_is_cut(
    client: httpx.Client, stack: Stack
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(COUNT)]
    event = {"event_type": "t", "event_name": "n", "platform": "p", "properties": {"a": STRING}}
    body = json.dumps([{**event, "event_id": one} for one in ids], ensure_ascii=False).encode()
    assert len(body) > 1024 * 1024
    answer = client.post("/api/v1/events/batch", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["accepted"]) == (202, COUNT)
    until(lambda: len(rows(stack, ids)) == COUNT, 60, "every event of the batch")
    whole = len(json.dumps(event["properties"], ensure_ascii=False).encode())
    assert {size for _, size in rows(stack, ids)} == {whole}


def test_a_message_that_is_delivered_twice_counts_once(client: httpx.Client, stack: Stack) -> None:
    assert stack.functions is not None
    event_id = str(uuid.uuid4())
    body = envelope(event_id)
    queue = aws("sqs", stack.emulator_url)
    for _ in range(3):
        queue.send_message(QueueUrl=stack.functions.queue_url, MessageBody=body)
    assert client.post("/api/v1/events?wait=stored", json=MARKER).status_code == 201
    until(lambda: client.get("/api/v1/status").json()["queue"]["ready"] == 0, 30, "an empty queue")
    until(lambda: len(rows(stack, [event_id])) == 1, 30, "the event")
