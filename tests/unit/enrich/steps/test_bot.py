"""Programs and people."""

from typing import Any

import pytest
from hypothesis import given

from functions.enrich.steps.bot import bot_step
from functions.enrich.steps.user_agent import user_agent_step
from tests.unit.enrich.steps.hostile import TEXTS
from tests.unit.enrich.steps.rows import CHROME, IPHONE, row

USER_AGENT, BOT = user_agent_step(), bot_step()
EDGE = CHROME + " Edg/126.0.0.0"


def judged(user_agent: str, **columns: Any) -> dict[str, Any]:
    found = row(user_agent=user_agent, **columns)
    found.update(USER_AGENT.run(found))
    found.update(BOT.run(found))
    return found


@pytest.mark.parametrize(
    ("reason", "user_agent"),
    [
        ("ua_crawler", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        ("ua_crawler", IPHONE + " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        (
            "ua_crawler",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com)",
        ),
        ("ua_crawler", "Mozilla/5.0 (compatible; Ezooms/1.0; help@moz.com)"),
        ("ua_crawler", "LumiBot 2.0"),
        ("ua_crawler", "ia_archiver"),
        ("ua_library", "curl/8.5.0"),
        ("ua_library", "python-requests/2.32.3"),
        ("ua_library", "Go-http-client/2.0"),
        ("ua_library", "okhttp/4.12.0"),
        ("ua_library", "Ruby"),
        ("ua_headless", CHROME.replace("Chrome/", "HeadlessChrome/")),
        ("ua_headless", CHROME + " Playwright/1.40.0"),
        ("ua_headless", "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/534.34 PhantomJS/1.9.2 Safari/534.34"),
        ("ua_monitor", "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"),
        ("ua_monitor", CHROME + " Chrome-Lighthouse"),
        ("ua_feed_reader", "Tiny Tiny RSS/1.11 (http://tt-rss.org/)"),
        ("ua_feed_reader", "Feedbin - 1 subscribers"),
        ("ua_preview", "facebookexternalhit/1.1"),
        ("ua_preview", "WhatsApp/2.23.20.0"),
        ("ua_bare", "Mozilla/4.0 (compatible;)"),
        ("ua_bare", "Mozilla/5.0"),
        ("ua_not_browser", "portscout/0.8.1"),
        ("ua_not_browser", "&as_qdr=all"),
        ("ua_empty_web", ""),
        ("ua_empty_web", "-"),
    ],
)
def test_a_program_on_the_web_is_a_bot_and_told_why(reason: str, user_agent: str) -> None:
    found = judged(user_agent)
    assert found["is_bot"] is True
    assert reason in found["bot_reasons"]
    assert (found["device_type"] == "bot") == (reason != "ua_empty_web")


@pytest.mark.parametrize(
    "user_agent",
    [
        CHROME,
        IPHONE,
        EDGE,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
        "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; Trident/6.0)",
        "Mozilla/5.0 (compatible; Konqueror/3.5; OpenBSD) KHTML/3.5.9 (like Gecko)",
        "Opera/9.80 (J2ME/MIDP; Opera Mini/4.2/28.3492; U; en) Presto/2.8.119 Version/11.10",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/90.0.4430.210 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 Version/4.0 "
        "Chrome/142.0.7444.142 Mobile Safari/537.36 Instagram 406.0.0.58.159 Android (35/15; 480dpi; OPPO)",
        "Mozilla/5.0 (Linux; Android 16; Pixel 10 Pro; wv) AppleWebKit/537.36 Chrome/146.0.7680.174 MetaIAB Facebook",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 "
        "[FBAN/FBIOS;FBAV/450.0;FBDV/iPhone14,5;FBSN/iOS;FBSV/17.5]",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Code/1.115.0 Chrome/142.0.7444.265 Electron/39.8.5",
        "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 Version/13.0 Safari/605.1.15",
        "SAMSUNG-GT-E2232/1.0 Openwave/6.2.3 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3",
        "Lynx/2.9.0 SSL-MM/1.4.1",
    ],
)
def test_a_persons_browser_is_no_bot(user_agent: str) -> None:
    found = judged(user_agent)
    assert (found["is_bot"], found["bot_reasons"]) == (False, [])
    assert found["device_type"] != "bot"


@pytest.mark.parametrize("platform", ["server", "ios", "android"])
@pytest.mark.parametrize("user_agent", ["", "python-requests/2.32.3", "okhttp/4.12.0", "MyApp/7.1", "Mozilla/5.0"])
def test_a_library_is_what_one_expects_off_the_web(platform: str, user_agent: str) -> None:
    assert judged(user_agent, platform=platform)["is_bot"] is False


def test_a_crawler_is_a_bot_on_every_platform() -> None:
    found = judged("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", platform="server")
    assert found["bot_reasons"] == ["ua_crawler"]


def test_a_browser_that_admits_to_be_driven_is_a_bot_on_its_own_device() -> None:
    found = judged(CHROME, context={"webdriver": True})
    assert (found["bot_reasons"], found["device_type"]) == (["webdriver_flag"], "desktop")
    assert judged("curl/8.5.0", context={"webdriver": True})["bot_reasons"] == ["ua_library", "webdriver_flag"]


@pytest.mark.parametrize("said", [False, None, "true", 1, {}, [True]])
def test_only_true_admits_it(said: Any) -> None:
    assert judged(CHROME, context={"webdriver": said})["is_bot"] is False


@given(TEXTS)
def test_any_text_is_judged(user_agent: str) -> None:
    found = judged(user_agent)
    assert found["is_bot"] is bool(found["bot_reasons"])
