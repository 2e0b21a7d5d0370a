"""The alarms and the dashboard: what they look at is there, and they tell somebody."""

import json
import re
import tomllib
from typing import Any

import pytest

from functions.serve.costs import fixed
from functions.shared.metric_names import DIMENSION, METRICS, NAMESPACE
from tests.support.template import ROOT, functions, resources, template

ALARMS = {name: one["Properties"] for name, one in resources("AWS::CloudWatch::Alarm").items()}
# Namespace, metric, statistic, seconds, times, and what it is to be more than.
DEFINED = {
    "CollectErrors": ("AWS/Lambda", "Errors", "Sum", 300, 1, 0),
    "EnrichErrors": ("AWS/Lambda", "Errors", "Sum", 300, 1, 0),
    "DrainErrors": ("AWS/Lambda", "Errors", "Sum", 300, 1, 0),
    "MeasureErrors": ("AWS/Lambda", "Errors", "Sum", 300, 1, 0),
    "ServeErrors": ("AWS/Lambda", "Errors", "Sum", 300, 1, 0),
    "CollectThrottles": ("AWS/Lambda", "Throttles", "Sum", 300, 2, 0),
    "EnrichThrottles": ("AWS/Lambda", "Throttles", "Sum", 300, 2, 0),
    "ServeThrottles": ("AWS/Lambda", "Throttles", "Sum", 300, 2, 0),
    "GatewayErrors": ("AWS/ApiGateway", "5XXError", "Average", 300, 2, 0.01),
    "OldestMessage": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", 60, 5, 600),
    "OldestMessageInNats": ("Weir", "OldestMessageSeconds", "Maximum", 300, 1, 600),
    "DeadLettersInSqs": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", 60, 1, 0),
    "DeadLetters": ("Weir", "DeadLetters", "Maximum", 300, 1, 0),
    "QueueBacklog": ("Weir", "QueueReady", "Minimum", 300, 2, {"Ref": "AlarmBacklogMessages"}),
    "StoredUnmeasured": ("Weir", "UnmeasuredSeconds", "Maximum", 300, 2, 900),
    "BatchLate": ("Weir", "SinceDoneSeconds", "Maximum", 300, 3, 1800),
    "LedgerOutOfBalance": ("Weir", "LedgerDifference", "Minimum", 900, 1, 0),
    "EventsUnaccounted": ("Weir", "Unaccounted", "Minimum", 900, 1, 0),
}
PARTS = ("Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold")
TOLD = {(one.name, stage) for one in METRICS for stage in one.stages}


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {one["Name"]: one["Value"] for one in alarm["Dimensions"]}


def test_each_alarm_is_defined_as_the_manual_says() -> None:
    simple = {name: tuple(alarm[part] for part in PARTS) for name, alarm in ALARMS.items() if "Metrics" not in alarm}
    assert simple == DEFINED
    assert {alarm["ComparisonOperator"] for alarm in ALARMS.values()} == {"GreaterThanThreshold"}


def test_each_alarm_tells_by_the_topic_of_the_alerts_and_says_what_is_wrong() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [{"Ref": "AlertTopic"}], name
        assert alarm["AlarmDescription"].endswith("."), name


def test_each_function_has_an_alarm_for_its_errors() -> None:
    errors = [one for one in ALARMS.values() if one.get("MetricName") == "Errors"]
    watched = {dimensions(alarm)["FunctionName"]["Ref"] for alarm in errors}
    assert watched == {f"{stage.capitalize()}Function" for stage in functions()}


def test_silence_of_the_batches_is_an_alarm_and_no_other_silence_is() -> None:
    assert {name for name, alarm in ALARMS.items() if alarm["TreatMissingData"] != "notBreaching"} == {"BatchLate"}
    assert ALARMS["BatchLate"]["TreatMissingData"] == "breaching"


def test_the_alarms_of_our_own_metrics_look_at_metrics_that_are_told() -> None:
    for name, alarm in ALARMS.items():
        if alarm.get("Namespace") == NAMESPACE:
            assert set(dimensions(alarm)) == {DIMENSION}
            assert (alarm["MetricName"], dimensions(alarm)[DIMENSION]) in TOLD, name


def test_the_queues_alarms_are_there_where_the_queues_are() -> None:
    found = {name: one.get("Condition") for name, one in resources("AWS::CloudWatch::Alarm").items()}
    assert {name for name, condition in found.items() if condition == "QueueIsSqs"} == {
        "OldestMessage",
        "DeadLettersInSqs",
    }
    assert {name for name, condition in found.items() if condition == "QueueIsNats"} == {"OldestMessageInNats"}


def test_the_cost_is_reckoned_by_each_functions_memory_and_the_prices() -> None:
    price = tomllib.loads((ROOT / "functions/serve/costs/prices.toml").read_text())["price"]
    (expression,) = [one["Expression"] for one in ALARMS["Cost"]["Metrics"] if "Expression" in one]
    shared = template()["Globals"]["Function"]["MemorySize"]
    for stage, given in functions().items():
        gigabytes = given.get("MemorySize", shared) / 1024
        assert f"FILL({stage}_duration, 0) * {gigabytes:g}" in expression
    # CloudWatch takes no more than ten.
    assert len(ALARMS["Cost"]["Metrics"]) <= 10
    numbers = [float(number) for number in re.findall(r"\* (0\.0\d+)", expression)]
    asked = ("lambda_gb_seconds", "lambda_requests", "gateway_requests")
    assert numbers == pytest.approx([price[name]["usd"] / price[name]["per"] for name in asked])


# What of the alarms is there with a broker, NATS with the container.
STANDING = {"nats": {None, "OnAws", "QueueIsNats"}, "sqs": {None, "OnAws", "QueueIsSqs"}}


def listed(broker: str, pattern: str) -> tuple[tuple[str, ...], float]:
    """The numbers in the one line of the fixed costs that is like this, and its dollars a month."""
    ((found, usd),) = [(one, usd) for what, usd in fixed(broker).items() if (one := re.fullmatch(pattern, what))]
    return found.groups(), usd


@pytest.mark.parametrize("broker", STANDING)
def test_the_alarms_that_are_reckoned_with_are_those_that_there_are(broker: str) -> None:
    conditions = {name: one.get("Condition") for name, one in resources("AWS::CloudWatch::Alarm").items()}
    there = [alarm for name, alarm in ALARMS.items() if conditions[name] in STANDING[broker]]
    looked_at = [sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1 for alarm in there]
    numbers, usd = listed(broker, r"(\d+) alarms in CloudWatch, one of them of (\d+) metrics")
    assert numbers == (str(len(there)), str(max(looked_at)))
    assert usd == pytest.approx(0.10 * sum(looked_at))


def test_the_metrics_that_are_reckoned_with_are_those_that_may_be_told() -> None:
    (count,), usd = listed("nats", r"(\d+) metrics and a dashboard in CloudWatch")
    assert int(count) == len(TOLD)
    assert usd == pytest.approx(0.30 * len(TOLD) + 3)


def test_the_task_that_is_reckoned_with_is_as_large_as_the_templates() -> None:
    (task,) = [one["Properties"] for one in resources("AWS::ECS::TaskDefinition").values()]
    (processors, gigabytes), usd = listed(
        "nats", r"one Fargate task for the event source \(([\d.]+) vCPU, ([\d.]+) GB\)"
    )
    assert float(processors) == int(task["Cpu"]) / 1024
    assert float(gigabytes) == int(task["Memory"]) / 1024
    # An hour of a vCPU and of a GB, and 730 hours.
    assert usd == pytest.approx((float(processors) * 0.04048 + float(gigabytes) * 0.004445) * 730, abs=0.01)


def widgets() -> list[dict[str, Any]]:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])
    found: list[dict[str, Any]] = body["widgets"]
    return found


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    shown = [metric for widget in widgets() for metric in widget["properties"]["metrics"]]
    own = {(metric[1], metric[3]) for metric in shown if metric[0] == NAMESPACE}
    assert own
    assert own <= TOLD
    assert {metric[2] for metric in shown if metric[0] == NAMESPACE} == {DIMENSION}
    named = {metric[3] for metric in shown if metric[0] == "AWS/Lambda"}
    assert named == {f"${{AWS::StackName}}-{stage}" for stage in functions()}


def test_the_widgets_of_the_dashboard_do_not_overlap() -> None:
    places = [(widget["x"] + dx, widget["y"] + dy) for widget in widgets() for dx in range(8) for dy in range(6)]
    assert len(places) == len(set(places))
    assert all(0 <= x < 24 for x, _ in places)
