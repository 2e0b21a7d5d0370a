"""The alarms of the template as a deployment has them, and what a function publishes as CloudWatch takes it in."""

import json
from typing import Any

from tests.support.template import resources

STACK = "weir"
# What the template's alarms refer to; a function is known by its logical name.
_REFERRED = {"AWS::StackName": STACK, "Environment": "local", "AlarmBacklogMessages": 10_000}
_NOT_TOLD = {"AlarmDescription", "AlarmActions", "OKActions"}


def simple_alarms() -> dict[str, dict[str, Any]]:
    """By logical name, each that looks at one metric, as ``put_metric_alarm`` takes it. They tell nobody."""
    found = {name: one["Properties"] for name, one in resources("AWS::CloudWatch::Alarm").items()}
    return {
        name: {"AlarmName": name, **{key: _resolved(value) for key, value in given.items() if key not in _NOT_TOLD}}
        for name, given in found.items()
        if "MetricName" in given
    }


def _resolved(value: Any) -> Any:
    if isinstance(value, list):
        return [_resolved(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return _REFERRED.get(value["Ref"]) or f"{STACK}-{value['Ref'].removesuffix('Function').lower()}"
    if "Fn::GetAtt" in value:
        queue, _, attribute = value["Fn::GetAtt"].partition(".")
        assert attribute == "QueueName", value
        return resources("AWS::SQS::Queue")[queue]["Properties"]["QueueName"]["Fn::Sub"].replace(
            "${AWS::StackName}", STACK
        )
    return {key: _resolved(one) for key, one in value.items()}


def data(log: str) -> list[tuple[str, dict[str, Any]]]:
    """What CloudWatch makes of the lines of metrics in a log: namespace and datum, by each set of dimensions."""
    lines = [json.loads(line[line.index("{") :]) for line in log.splitlines() if '"_aws"' in line]
    return [
        (
            directive["Namespace"],
            {
                "MetricName": metric["Name"],
                "Unit": metric["Unit"],
                "Dimensions": [{"Name": name, "Value": line[name]} for name in names],
                "Values": line[metric["Name"]],
            },
        )
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for names in directive["Dimensions"]
        for metric in directive["Metrics"]
    ]
