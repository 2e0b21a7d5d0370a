"""How the engines and the event source stand, for `/metrics`: what the functions' logs cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SECONDS = 1.0
# Of what the event source counts since it started: its counter here, by the name of it there.
_COUNTERS = {
    "messages_pulled": "pulled",
    "invocations": "invocations",
    "message_tries": "messages",
    "messages_acked": "acked",
    "messages_again": "retried",
    "messages_dead": "dead_lettered",
    "function_failures": "function_failures",
    "function_unreached": "function_unreached",
    "broker_failures": "broker_failures",
}


def engines(ready: Mapping[str, Callable[[], bool]]) -> str:
    """Whether each engine answers now, by its name: 1 or 0."""
    lines = [f'weir_engine_up{{engine="{name}"}} {int(answers())}\n' for name, answers in sorted(ready.items())]
    return "".join(["# TYPE weir_engine_up gauge\n", *lines]) if lines else ""


def event_source(told: Mapping[str, Any]) -> str:
    """What the event source counted since it started, from the answer of its health."""
    lines = []
    for name, source in _COUNTERS.items():
        family = f"weir_event_source_{name}_total"
        lines += [f"# TYPE {family} counter\n", f"{family} {told.get(source, 0)}\n"]
    family = "weir_event_source_messages_in_flight"
    return "".join([*lines, f"# TYPE {family} gauge\n", f"{family} {told.get('in_flight', 0)}\n"])


def ask(url: str) -> dict[str, Any]:
    """A health answer; empty when there is none."""
    import httpx

    try:
        found: dict[str, Any] = httpx.get(url, timeout=_SECONDS, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found
