"""Whether a program made the event rather than a person, and by what that is known."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from functions.enrich.steps.step import Columns, Step
from functions.enrich.steps.tables.bots import BROWSERS, MARKERS, NO_USER_AGENT, NOT_BROWSER, WEB_ONLY, WEB_PLATFORMS
from functions.enrich.steps.tables.devices import BOT
from functions.enrich.steps.user_agent import LONGEST, SPIDER

_CACHED = 4_096
_EMPTY: Columns = {"is_bot": False, "bot_reasons": []}


class _Signs(NamedTuple):
    """What the user agent alone gives away, and what the event does when the browser admits to be driven as well."""

    plain: Columns
    driven: Columns


def bot_step() -> Step:
    """``is_bot`` and ``bot_reasons``; ``device_type`` becomes ``bot`` when the user agent names a program."""

    @lru_cache(maxsize=_CACHED)
    def found(user_agent: str, web: bool, spider: bool) -> _Signs:
        reasons = _reasons(user_agent, web, spider)
        return _Signs(_columns(reasons), _columns([*reasons, "webdriver_flag"]))

    def run(row: Mapping[str, Any]) -> Columns:
        web = row["platform"] in WEB_PLATFORMS
        signs = found(row["user_agent"][:LONGEST], web, row["device_family"] == SPIDER)
        return signs.driven if row["context"].get("webdriver") is True else signs.plain

    return Step("bot", run, _EMPTY)


def _reasons(user_agent: str, web: bool, spider: bool) -> list[str]:
    """Stable codes, in the order of the table."""
    if user_agent.strip() in NO_USER_AGENT:
        return ["ua_empty_web"] if web else []
    lower = user_agent.lower()
    reasons = [marker.reason for marker in MARKERS if (web or marker.reason not in WEB_ONLY) and marker.fits(lower)]
    if spider and not reasons:
        return ["ua_crawler"]
    return reasons or ([NOT_BROWSER] if web and not BROWSERS.search(lower) else [])


def _columns(reasons: list[str]) -> Columns:
    if not reasons:
        return _EMPTY
    columns = {"is_bot": True, "bot_reasons": reasons}
    named = [reason for reason in reasons if reason not in ("ua_empty_web", "webdriver_flag")]
    return {**columns, "device_type": BOT} if named else columns
