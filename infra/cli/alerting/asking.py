"""What the commands ask of the alerts: the book, the rules, and the routes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from functions.measure.alerts import rules_file
from functions.measure.alerts.book import Book
from functions.measure.alerts.rules import Rule
from functions.measure.metrics import definitions
from functions.shared import wiring
from functions.shared.domain.notification import Notification
from functions.shared.errors import Misconfigured, Reject, Retry, SinkRefused, SinkUnavailable
from functions.shared.settings import AlertSettings
from infra.cli.client import CommandError
from infra.local import state, surroundings
from infra.local.paths import ROOT

T = TypeVar("T")


def book(question: Callable[[Book], T]) -> T:
    """What the book says. Raises :class:`CommandError`, as all here."""
    _as_the_stack()
    return _plainly(lambda: question(wiring.alert_book()))


def rules(file: Path | None = None) -> dict[str, Rule]:
    """The rules of a file, or those that hold."""
    return _plainly(lambda: rules_file.load(definitions.load(), file or rules_file.path(_settings().alerts_path)))


def send_test(name: str) -> dict[str, str]:
    """By route, why it did not take a test; empty where it did."""
    _as_the_stack()
    known = rules()
    if name and name not in known:
        raise CommandError(f"There is no rule {name!r}: {', '.join(known)}.")
    rule = known.get(name)
    told = _test(name, rule, _plainly(_settings).environment)
    results = {}
    for route, sink in _plainly(wiring.alert_sinks).items():
        if rule is None or not rule.routes or route in rule.routes:
            try:
                sink.send(told)
                results[route] = ""
            except (SinkUnavailable, SinkRefused) as error:
                results[route] = str(error)
    return results


def _test(name: str, rule: Rule | None, deployment: str) -> Notification:
    severity, summary, condition = "info", "", "weir alerts test"
    if rule:
        severity, summary, condition = rule.severity, rule.summary, rule.condition()
    return Notification(
        id=str(uuid.uuid4()),
        alert_id=str(uuid.uuid4()),
        event="test",
        rule=name or "test",
        severity=severity,
        tags={},
        summary=f"This is a test, and nothing is wrong. {summary}".strip(),
        condition=condition,
        value=None,
        fired_at=0,
        at=time.time_ns(),
        deployment=deployment,
    )


def _settings() -> AlertSettings:
    return wiring.settings_of(AlertSettings)


def _as_the_stack() -> None:
    """Where nothing is said of other stores: those of the stack on this machine, wherever its ports are."""
    if "WEIR_CLICKHOUSE_URL" in os.environ:
        return
    try:
        running = state.read(ROOT / ".weir")
    except (OSError, ValueError):
        return
    variables = dict(running.get("variables", {}))
    if topic := running.get("alert_topic"):
        # With the emulator's credentials, which are none, whatever this machine knows of a real account.
        os.environ.update(surroundings.aws(running["emulator_url"]))
        variables["WEIR_ALERTS_SNS_TOPIC_ARN"] = topic
    for variable, value in variables.items():
        os.environ.setdefault(variable, value)


def _plainly(action: Callable[[], T]) -> T:
    try:
        return action()
    except (Reject, Retry) as error:
        raise CommandError(error.detail) from error
    except Misconfigured as error:
        raise CommandError(str(error)) from error
