"""Browsers, systems and devices by their user agent."""

import pytest
from hypothesis import given

from functions.enrich.steps.user_agent import user_agent_step
from tests.unit.enrich.steps.hostile import TEXTS
from tests.unit.enrich.steps.rows import CHROME, IPHONE, row

STEP = user_agent_step()


@pytest.mark.parametrize(
    ("user_agent", "browser", "system", "device"),
    [
        (CHROME, ("Chrome", "126.0.6478.127"), ("Windows", "10"), ("", "", "")),
        (IPHONE, ("Mobile Safari", "17.5"), ("iOS", "17.5"), ("iPhone", "Apple", "iPhone")),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile "
            "Safari/537.36",
            ("Chrome Mobile", "126.0.0.0"),
            ("Android", "14"),
            ("Pixel 8", "Google", "Pixel 8"),
        ),
        ("", ("", ""), ("", ""), ("", "", "")),
        ("no such thing", ("", ""), ("", ""), ("", "", "")),
    ],
)
def test_a_user_agent_names_browser_system_and_device(
    user_agent: str, browser: tuple[str, str], system: tuple[str, str], device: tuple[str, str, str]
) -> None:
    found = STEP.run(row(user_agent=user_agent))
    assert (found["browser_name"], found["browser_version"]) == browser
    assert (found["os_name"], found["os_version"]) == system
    assert (found["device_family"], found["device_brand"], found["device_model"]) == device


@pytest.mark.parametrize(
    ("kind", "user_agent"),
    [
        ("desktop", CHROME),
        ("desktop", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"),
        ("desktop", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0)"),
        ("mobile", IPHONE),
        ("mobile", "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en) Presto/2.8.119 Version/11.10"),
        ("mobile", "Dalvik/2.1.0 (Linux; U; Android 12; SM-G991B)"),
        ("mobile", "MyApp/1.0 CFNetwork/1390 Darwin/22.0.0"),
        ("tablet", "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148"),
        ("tablet", "Mozilla/5.0 (Linux; Android 13; Nova X) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36"),
        ("tablet", "Mozilla/5.0 (Linux; U; en-us; KFAPWI Build/JDQ39) AppleWebKit/535.19 Silk/3.13 Safari/535.19"),
        ("tv", "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 SamsungBrowser/4.0 TV Safari/537.36"),
        ("tv", "Mozilla/5.0 (Linux; Android 9; AFTSSS) AppleWebKit/537.36 Silk/112 like Chrome/112 Safari/537.36"),
        ("console", "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 Version/13.0 Safari/605.1.15"),
        ("console", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 Edge/44.18363"),
        ("other", ""),
        ("other", "curl/8.5.0"),
    ],
)
def test_a_user_agent_speaks_of_a_kind_of_device(kind: str, user_agent: str) -> None:
    assert STEP.run(row(user_agent=user_agent))["device_type"] == kind


def test_a_user_agent_is_parsed_once() -> None:
    assert STEP.run(row(user_agent=IPHONE)) is STEP.run(row(user_agent=IPHONE))


def test_what_follows_the_first_1024_characters_is_not_read() -> None:
    padding = "x" * 1_024
    assert STEP.run(row(user_agent=padding + IPHONE)) is STEP.run(row(user_agent=padding + CHROME))


@given(TEXTS)
def test_any_text_is_a_user_agent_of_bounded_columns(user_agent: str) -> None:
    found = STEP.run(row(user_agent=user_agent))
    assert found.keys() == STEP.empty.keys()
    assert all(len(value) <= 128 for value in found.values())
