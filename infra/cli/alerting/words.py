"""What is said of alerts on the command line: spans, instants and tags as text, rules and changes as documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from functions.measure.alerts.book import Entry, Standing
from functions.measure.alerts.rules import Rule
from functions.measure.alerts.silences import Silence
from functions.shared.domain import instants
from infra.cli.client import CommandError

_SPAN = re.compile(r"(\d{1,4})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def rule(name: str, said: Rule, standing: Iterable[Standing]) -> dict[str, Any]:
    """A rule and its alerts, with the worst of their states."""
    alerts = [
        {"tags": one.tags, "state": one.alert.state, "since": when(one.alert.fired_at or one.alert.since)}
        for one in standing
    ]
    states = {alert["state"] for alert in alerts}
    worst = next((state for state in ("firing", "pending") if state in states), "ok")
    return {
        "rule": name, "kind": said.kind, "severity": said.severity, "state": worst, "condition": said.condition(),
        "summary": said.summary, "alerts": alerts,
    }  # fmt: skip


def change(entry: Entry, routes: Mapping[str, str]) -> dict[str, Any]:
    """A change, and what came of telling it by route."""
    return {
        "id": entry.change_id, "at": when(entry.changed_at), "event": entry.event, "rule": entry.rule,
        "tags": entry.tags, "severity": entry.severity, "summary": entry.summary, "condition": entry.condition,
        "value": entry.value, "told": entry.told, "silence_id": entry.silence_id or None, "routes": dict(routes),
    }  # fmt: skip


def silence(one: Silence) -> dict[str, Any]:
    """A silence."""
    return {**one._asdict(), "since": when(one.since), "until": when(one.until)}


def when(nanoseconds: int) -> str | None:
    """To the second; none for 0."""
    return instants.to_text(nanoseconds // instants.SECOND * instants.SECOND) if nanoseconds else None


def tags(given: Mapping[str, str]) -> str:
    """As one writes them."""
    return ",".join(f"{name}={value}" for name, value in sorted(given.items()))


def tag(text: str) -> tuple[str, str]:
    """A name and a value. Raises :class:`CommandError`."""
    name, found, value = text.partition("=")
    if not name or not found:
        raise CommandError(f"--tag: {text!r} is no tag, such as platform=web.")
    return name, value


def span(text: str) -> int:
    """A span such as 30m in nanoseconds. Raises :class:`CommandError`."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise CommandError(f"--for: {text!r} is no span, such as 30m, 2h or 1d.")
    return int(match[1]) * _SECONDS[match[2]] * instants.SECOND


def instant(option: str, text: str) -> int:
    """Nanoseconds. Raises :class:`CommandError`."""
    try:
        return instants.from_text(text)
    except ValueError:
        raise CommandError(f"{option}: {text!r} is no RFC 3339 time, such as 2026-01-31T00:00:00Z.") from None
