"""What somebody is told about an alert, and how: as a line, as text, for machines, and as Slack takes it. Pure."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from functions.shared.domain import instants
from functions.shared.domain.environments import LIVE

Severity = Literal["info", "warning", "critical"]
_SUBJECT_CHARACTERS = 100
_WORDS = {"firing": "FIRING", "still_firing": "STILL FIRING", "recovered": "RECOVERED", "test": "TEST"}
_COLOURS = {"info": "#439fe0", "warning": "#daa038", "critical": "#d00000"}
_GOOD, _NEUTRAL = "#2eb886", "#808080"


class Notification(NamedTuple):
    """One thing to tell. ``id`` is the same however often it is sent; ``alert_id`` is the alert's, through its life.

    ``event`` is firing, still_firing, recovered or test. Instants are nanoseconds; 0 in ``fired_at`` is none.
    ``deployment`` names the Weir that tells.
    """

    id: str
    alert_id: str
    event: str
    rule: str
    severity: str
    tags: Mapping[str, str]
    summary: str
    condition: str
    value: float | None
    fired_at: int
    at: int
    deployment: str


def subject(told: Notification) -> str:
    """One line of printable ASCII, as mail and SNS take it."""
    line = f"[{_WORDS.get(told.event, told.event)}] {_name(told)} ({told.severity}, {told.deployment})"
    return "".join(one if " " <= one <= "~" else "?" for one in line)[:_SUBJECT_CHARACTERS]


def text(told: Notification) -> str:
    """For people."""
    lines = [f"{_WORDS.get(told.event, told.event)}: {told.summary}", f"{_name(told)}: {told.condition}"]
    lines += [f"{name}: {value}" for name, value in _facts(told)]
    return "\n".join([*lines, f"id: {told.id}"])


def machine(told: Notification) -> dict[str, Any]:
    """All of it by name, for machines."""
    return {
        **told._asdict(),
        "tags": dict(told.tags),
        "fired_at": instants.to_text(told.fired_at) if told.fired_at else None,
        "at": instants.to_text(told.at),
    }


def slack(told: Notification) -> dict[str, Any]:
    """A message as Slack's incoming webhooks take it, and what speaks like them; ``alert`` beside is for machines."""
    colour = {"recovered": _GOOD, "test": _NEUTRAL}.get(told.event) or _COLOURS.get(told.severity, _NEUTRAL)
    headline = _escaped(f"[{_WORDS.get(told.event, told.event)}] {_name(told)}: {told.summary}")
    attachment = {
        "color": colour,
        "fallback": headline,
        "text": _escaped(told.condition),
        "fields": [{"title": name, "value": _escaped(value), "short": True} for name, value in _facts(told)],
        "footer": told.id,
        "ts": told.at // instants.SECOND,
    }
    return {"text": headline, "attachments": [attachment], "alert": machine(told)}


def _name(told: Notification) -> str:
    shown = {name: value for name, value in told.tags.items() if (name, value) != ("environment", LIVE)}
    tags = ", ".join(f"{name}={value}" for name, value in sorted(shown.items()))
    return f"{told.rule}{{{tags}}}" if tags else told.rule


def _facts(told: Notification) -> list[tuple[str, str]]:
    facts = [("value", "none" if told.value is None else f"{told.value:.6g}"), ("severity", told.severity)]
    if told.fired_at:
        facts.append(("firing since", instants.to_text(told.fired_at // instants.SECOND * instants.SECOND)))
    return [*facts, ("deployment", told.deployment)]


def _escaped(line: str) -> str:
    """Without what Slack would read as a link or a call to somebody."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
