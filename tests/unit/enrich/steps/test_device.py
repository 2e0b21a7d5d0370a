"""The device by the client's words, its user agent and its platform, in that order of trust."""

from typing import Any

import pytest

from functions.enrich.steps.device import device_step
from functions.enrich.steps.user_agent import user_agent_step
from tests.unit.enrich.steps.rows import CHROME, IPHONE, row

USER_AGENT, DEVICE = user_agent_step(), device_step()


def enriched(**columns: Any) -> dict[str, Any]:
    found = row(**columns)
    found.update(USER_AGENT.run(found))
    found.update(DEVICE.run(found))
    return found


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "tablet"}, "tablet"),
        ({"type": "Phone"}, "mobile"),
        ({"type": "Smart TV"}, "tv"),
        ({"type": "laptop"}, "desktop"),
        ({"model": "iPad13,4"}, "tablet"),
        ({"type": "toaster"}, "mobile"),
        ({"type": 7}, "mobile"),
        ({}, "mobile"),
        ("tablet", "mobile"),
        ([{"type": "tablet"}], "mobile"),
        (None, "mobile"),
    ],
)
def test_a_known_word_of_the_client_wins_over_the_user_agent(said: Any, kind: str) -> None:
    assert enriched(user_agent=IPHONE, context={"device": said})["device_type"] == kind


def test_the_clients_brand_and_model_win_over_the_user_agents() -> None:
    found = enriched(user_agent=IPHONE, context={"device": {"model": "iPhone15,4", "manufacturer": "Apple Inc."}})
    assert (found["device_family"], found["device_brand"], found["device_model"]) == (
        "iPhone",
        "Apple Inc.",
        "iPhone15,4",
    )


def test_the_user_agents_system_wins_over_the_clients() -> None:
    found = enriched(user_agent=CHROME, context={"os": {"name": "iOS", "version": "17.5"}})
    assert (found["os_name"], found["os_version"], found["device_type"]) == ("Windows", "10", "desktop")


@pytest.mark.parametrize(
    "context",
    [
        {"os": {"name": "Android", "version": "14"}},
        {"device": {"os": {"name": "Android", "version": "14"}}},
        {"device": {"os": "Android", "os_version": "14"}},
    ],
)
def test_the_clients_system_fills_the_gap_of_a_silent_user_agent(context: dict[str, Any]) -> None:
    found = enriched(user_agent="MyApp/7", platform="app", context=context)
    assert (found["os_name"], found["os_version"], found["device_type"]) == ("Android", "14", "mobile")


@pytest.mark.parametrize(
    ("platform", "kind", "system"),
    [
        ("ios", "mobile", "iOS"),
        ("iOS", "mobile", "iOS"),
        ("android", "mobile", "Android"),
        ("tvos", "tv", "tvOS"),
        ("web", "other", ""),
        ("server", "other", ""),
    ],
)
def test_the_platform_hints_where_nobody_else_speaks(platform: str, kind: str, system: str) -> None:
    found = enriched(user_agent="", platform=platform)
    assert (found["device_type"], found["os_name"]) == (kind, system)


def test_the_platform_does_not_contradict_a_user_agent() -> None:
    assert enriched(user_agent=CHROME, platform="ios")["device_type"] == "desktop"
