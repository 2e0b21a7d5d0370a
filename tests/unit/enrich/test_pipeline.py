"""The pipeline: every column, every event, whatever a client sent and whatever a step does."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from functions.enrich.pipeline import Step, build_steps, enrich
from functions.shared.adapters.geo_mmdb import load
from schemas.rows import ProcessedRow
from tests.unit.enrich.steps.hostile import OBJECTS, TEXTS
from tests.unit.enrich.steps.rows import IPHONE, row

DATA = Path(__file__).parents[2] / "data"
STEPS, STEPS_AGAIN = build_steps(load(DATA)), build_steps(load(DATA))
FIELDS = ProcessedRow._fields
COLUMNS = set(FIELDS[FIELDS.index("ip") : FIELDS.index("local_weekday") + 1])
TEXT_COLUMNS = {name for name in COLUMNS if ProcessedRow.__annotations__[name] is str}


def ticks() -> Any:
    return itertools.count(0, 5).__next__


def broken(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeError("a defect")


def test_the_steps_are_in_their_order() -> None:
    assert [step.name for step in STEPS] == [
        "network",
        "geo",
        "user_agent",
        "device",
        "page",
        "traffic",
        "bot",
        "local_time",
        "address",
        "identity",
    ]


def test_an_event_gets_exactly_the_enrichment_columns() -> None:
    event = row()
    before = set(event)
    enrich([event], STEPS, ticks())
    assert set(event) - before | {"ip"} == COLUMNS


def test_an_event_is_enriched_from_end_to_end() -> None:
    event = row(
        ip="81.2.69.142:51234",
        user_agent=IPHONE,
        context={
            "page": {
                "url": "https://shop.example.com/p?utm_source=google&utm_medium=cpc&gclid=x",
                "title": "Shoes",
                "referrer": "https://www.google.com/",
            },
            "device": {"model": "iPhone 15"},
        },
    )
    enrich([event], STEPS, ticks())
    assert event["flags"] == []
    assert (event["network"], event["geo_city"]) == ("81.2.69.0/24", "London")
    assert (event["browser_name"], event["device_model"], event["device_type"]) == (
        "Mobile Safari",
        "iPhone 15",
        "mobile",
    )
    assert (event["page_path"], event["channel"], event["click_id"]) == ("/p", "paid_search", "gclid:x")
    assert (event["timezone"], event["local_hour"], event["is_bot"]) == ("Europe/London", 12, False)


@given(OBJECTS, OBJECTS, TEXTS, TEXTS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_event_whatever_it_holds_makes_a_step_fail(
    context: dict[str, Any], properties: dict[str, Any], ip: str, user_agent: str
) -> None:
    event = row(context=context, properties=properties, ip=ip, user_agent=user_agent)
    enrich([event], STEPS, ticks())
    assert not [flag for flag in event["flags"] if flag.endswith("_failed")]
    assert event.keys() >= COLUMNS
    assert all(isinstance(event[name], str) and len(event[name]) <= 4_096 for name in TEXT_COLUMNS)
    for name in TEXT_COLUMNS:
        event[name].encode("utf-8")


@given(OBJECTS, TEXTS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_an_event_enriched_again_gets_the_same_columns(context: dict[str, Any], user_agent: str) -> None:
    first, second = (row(context=context, user_agent=user_agent) for _ in range(2))
    enrich([first], STEPS, ticks())
    enrich([second], STEPS_AGAIN, ticks())
    assert first == second


def test_a_step_that_fails_flags_the_event_and_keeps_it() -> None:
    good = Step("good", lambda _: {"x": 1}, {"x": 0})
    bad = Step("bad", broken, {"y": ""})
    events = [row(flags=["earlier"]), row()]
    enrich(events, (good, bad, good), ticks())
    assert [event["flags"] for event in events] == [["earlier", "bad_failed"], ["bad_failed"]]
    assert [(event["x"], event["y"]) for event in events] == [(1, ""), (1, "")]


def test_a_step_fails_for_one_event_alone() -> None:
    picky = Step("picky", lambda event: {"y": event["context"]["y"]}, {"y": ""})
    events = [row(context={"y": "a"}), row(), row(context={"y": "c"})]
    enrich(events, (picky,), ticks())
    assert [event["y"] for event in events] == ["a", "", "c"]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_step_may_fail_and_all_columns_are_there_still(step: Step) -> None:
    event = row()
    enrich([event], [each._replace(run=broken) if each is step else each for each in STEPS], ticks())
    assert event.keys() >= COLUMNS
    assert f"{step.name}_failed" in event["flags"]


def test_the_time_of_a_step_is_taken_once_for_all_events() -> None:
    spent = enrich([row(), row(), row()], STEPS, ticks())
    assert spent == {step.name: 5 for step in STEPS}


def test_what_steps_share_between_events_is_never_changed_by_them() -> None:
    events = [row(user_agent="curl/8.5.0", context={"webdriver": True}, ip="x") for _ in range(2)]
    enrich(events, STEPS, ticks())
    assert events[0] == events[1]
    assert events[1]["flags"] == ["ip_invalid"]
    assert all(step.empty == fresh.empty for step, fresh in zip(STEPS, build_steps(None), strict=True))
