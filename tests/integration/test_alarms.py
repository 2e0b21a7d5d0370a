"""Each alarm of the template goes off by itself, and by nothing else: evaluated by LocalStack's CloudWatch.

What it is told of is the alarm's own metric; that the functions publish this metric is seen in test_local_functions.py.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.accounts import account
from tests.support.alarms import simple_alarms
from tests.support.polling import until

pytestmark = pytest.mark.engines

ALARMS = simple_alarms()
SILENT = {name: "ALARM" if one["TreatMissingData"] == "breaching" else "OK" for name, one in ALARMS.items()}
Tell = Callable[[dict[str, Any], int], list[float]]


@pytest.fixture(params=["localstack"])
def watch(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A CloudWatch without a metric or alarm."""
    with account(request.param) as client:
        yield client("cloudwatch")


def states(watch: Any, told: Tell, of: str = "") -> dict[str, str]:
    """What becomes of each alarm when its metric had such values in its periods, the latest first.

    ``of``: they are of another function or queue than it looks at.
    """
    now = datetime.now(UTC)
    for alarm in ALARMS.values():
        data = [
            {
                "MetricName": alarm["MetricName"],
                "Dimensions": [{**one, "Value": of or one["Value"]} for one in alarm["Dimensions"]],
                "Timestamp": now - timedelta(seconds=alarm["Period"] * (ago + 0.5)),
                "Value": value,
            }
            for ago in range(alarm["EvaluationPeriods"])
            for value in told(alarm, ago)
        ]
        if data:
            watch.put_metric_data(Namespace=alarm["Namespace"], MetricData=data)
    for alarm in ALARMS.values():
        # It is looked at once it is there.
        watch.put_metric_alarm(**alarm)
    found: dict[str, str] = {}

    def judged() -> bool:
        found.update({one["AlarmName"]: one["StateValue"] for one in watch.describe_alarms()["MetricAlarms"]})
        return found.keys() == ALARMS.keys() and "INSUFFICIENT_DATA" not in found.values()

    until(judged, 60, "a state of each alarm", pause_seconds=0.2)
    return found


def test_each_goes_off_when_all_of_its_periods_are_over_its_threshold(watch: Any) -> None:
    assert set(states(watch, lambda alarm, _: [alarm["Threshold"] + 1]).values()) == {"ALARM"}


def test_none_goes_off_at_its_threshold(watch: Any) -> None:
    assert set(states(watch, lambda alarm, _: [alarm["Threshold"]]).values()) == {"OK"}


def test_none_goes_off_when_one_of_its_periods_was_well(watch: Any) -> None:
    def once_well(alarm: dict[str, Any], ago: int) -> list[float]:
        return [alarm["Threshold"] + (ago != alarm["EvaluationPeriods"] - 1)]

    assert set(states(watch, once_well).values()) == {"OK"}


def test_one_that_asks_for_the_least_is_quiet_where_it_was_well_for_a_moment_and_no_other_is(watch: Any) -> None:
    found = states(watch, lambda alarm, _: [alarm["Threshold"] + 10, 0])
    quiet = {name for name, state in found.items() if state == "OK"}
    assert quiet == {"QueueBacklog", "LedgerOutOfBalance", "EventsUnaccounted"}


def test_none_goes_off_by_what_another_function_or_queue_tells(watch: Any) -> None:
    assert states(watch, lambda alarm, _: [alarm["Threshold"] + 1], of="another") == SILENT


def test_silence_is_an_alarm_of_the_batches_alone(watch: Any) -> None:
    found = states(watch, lambda alarm, _: [])
    assert found == SILENT
    assert [name for name, state in found.items() if state == "ALARM"] == ["BatchLate"]
