"""An alert on the stack: what the scheduled function sees is told to the file, and to the topic of the emulator."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.domain import tags as tagging
from functions.shared.domain.series import METRICS, MetricRow
from functions.shared.settings import SeriesSettings
from infra.local.functions import client as aws
from infra.local.stack import Stack
from tests.support.polling import until

MINUTE = 60_000_000_000
LIVE = {"environment": "live"}
RULE = "failed_share"


def let_windows_be(stack: Stack, value: float) -> None:
    """The share of failed events in each of the last minutes, and in the next ones."""
    text, now = tagging.canonical(LIVE), time.time_ns() // MINUTE * MINUTE
    series = QuestDbSeries(SeriesSettings(questdb_url=stack.questdb_url, questdb_pg_port=stack.questdb_pg_port))
    rows = [
        MetricRow(
            now + MINUTE * back, RULE, "1m", "live", None, None, None, None, None, value, text, tagging.digest(text),
            "{}", "live", now,
        )
        for back in range(-9, 3)
    ]  # fmt: skip
    series.write(METRICS, rows)
    series.await_visible(METRICS)


def lines(stack: Stack) -> list[dict[str, Any]]:
    content = stack.alerts_file.read_text() if stack.alerts_file.exists() else ""
    return [one for one in map(json.loads, content.splitlines()) if one["rule"] == RULE]


def measure(stack: Stack) -> None:
    aws("lambda", stack.emulator_url).invoke(FunctionName="weir-measure", Payload=b"{}")


def told(stack: Stack, event: str) -> bool:
    measure(stack)
    return any(one["event"] == event for one in lines(stack))


def test_what_fires_and_recovers_is_told_to_the_file_and_the_topic_and_shown_in_status(
    stack: Stack, client: httpx.Client
) -> None:
    assert stack.functions is not None
    sns, sqs = aws("sns", stack.emulator_url), aws("sqs", stack.emulator_url)
    queue = sqs.create_queue(QueueName="who-is-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=stack.functions.alert_topic, Protocol="sqs", Endpoint=arn)
    let_windows_be(stack, 0.9)
    until(lambda: told(stack, "firing"), 60, "the alert")
    firing = client.get("/api/v1/status").json()["alerts"]["firing"]
    assert [(one["rule"], one["value"]) for one in firing if one["rule"] == RULE] == [(RULE, 0.9)]
    let_windows_be(stack, 0.0)
    until(lambda: told(stack, "recovered"), 60, "the end of the alert")
    assert [(one["event"], one["tags"]) for one in lines(stack)] == [("firing", LIVE), ("recovered", LIVE)]
    published = [
        json.loads(one["Body"]) for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [one["Subject"] for one in published] == [
        "[FIRING] failed_share (warning, local)", "[RECOVERED] failed_share (warning, local)"
    ]  # fmt: skip
    assert [json.loads(one["Message"])["id"] for one in published] == [one["id"] for one in lines(stack)]
