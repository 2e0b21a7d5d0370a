"""Which browser, system and device a user agent text names.

The rules are the ua-parser project's (PyPI ``ua-parser-builtins``), run by its Rust engine, whose time is linear in the
length of the text whatever a client sends. They are read on the first user agent, not at import.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

from functions.enrich.steps.step import Columns, Step
from functions.enrich.steps.tables.devices import OTHER, SYSTEM_TYPES, USER_AGENT_TYPES

LONGEST = 1_024
SPIDER = "Spider"
_CACHED = 4_096
_SHOWN = 128
_EMPTY: Columns = {
    "browser_name": "",
    "browser_version": "",
    "os_name": "",
    "os_version": "",
    "device_family": "",
    "device_brand": "",
    "device_model": "",
    "device_type": OTHER,
}


def user_agent_step() -> Step:
    """Browser, system and device of ``user_agent``, and the device type it speaks of (``other`` if none)."""
    parser = cache(_parser)

    @lru_cache(maxsize=_CACHED)
    def found(user_agent: str) -> Columns:
        return _columns(user_agent, parser()(user_agent)) if user_agent else _EMPTY

    def run(row: Mapping[str, Any]) -> Columns:
        return found(row["user_agent"][:LONGEST])

    return Step("user_agent", run, _EMPTY, found.cache_info)


def _parser() -> Callable[[str], Any]:
    from ua_parser import Parser
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    parse: Callable[[str], Any] = Parser(Resolver(load_lazy_builtins())).parse
    return parse


def _columns(user_agent: str, result: Any) -> Columns:
    browser, system, device = result.user_agent, result.os, result.device
    spider = device is not None and device.family == SPIDER
    os_name = _shown(system.family) if system else ""
    return {
        "browser_name": _shown(browser.family) if browser else "",
        "browser_version": _version(browser.major, browser.minor, browser.patch, browser.patch_minor)
        if browser
        else "",
        "os_name": os_name,
        "os_version": _version(system.major, system.minor, system.patch, system.patch_minor) if system else "",
        "device_family": _shown(device.family) if device else "",
        "device_brand": _shown(device.brand) if device and not spider else "",
        "device_model": _shown(device.model) if device and not spider else "",
        "device_type": _type(user_agent, os_name),
    }


def _type(user_agent: str, os_name: str) -> str:
    for kind, pattern in USER_AGENT_TYPES:
        if pattern.search(user_agent):
            return kind
    return SYSTEM_TYPES.get(os_name, OTHER)


def _version(*numbers: str | None) -> str:
    known = []
    for number in numbers:
        if not number:
            break
        known.append(number)
    return _shown(".".join(known))


def _shown(text: str | None) -> str:
    return text[:_SHOWN].strip() if text else ""
