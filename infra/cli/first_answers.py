"""What the batches made of the sample, asked of the API as anybody would: sessions, paths, hours and anomalies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from rich.console import Console

from functions.shared.domain import instants
from infra.cli import client

_MEASURE_SECONDS = 300
_DAY = 86_400 * instants.SECOND
_SHOWN_ANOMALIES = 3
# A path is told when it goes from one place to another.
_SHORTEST_PATH = 2


def show(reader: httpx.Client, variables: Mapping[str, str], console: Console) -> None:
    """Run the batches over all events that there are, and tell what came of it.

    Raises :class:`client.CommandError` when they did not end well, or Weir does not answer.
    """
    first, last = (_timestamp(reader, order) for order in ("asc", "desc"))
    if first is None or last is None:
        return
    began = time.monotonic()
    span = {"from": _day(first), "to": _day(last, 1)}
    measure(span["from"], variables)
    console.print(f"measured in {time.monotonic() - began:.1f} s (a schedule goes on with it):", highlight=False)
    for line in answers(reader, span):
        console.print(f"  {line}", highlight=False, markup=False)


def answers(reader: httpx.Client, span: Mapping[str, str]) -> Iterator[str]:
    """A line an answer, about the events of a time."""
    sessions = _points(reader, "sessions", "1d", span)
    bounced = {at: value for at, value in _points(reader, "bounce_rate", "1d", span).items() if value is not None}
    total = sum(sessions.values())
    if total:
        rate = sum(bounced[at] * sessions[at] for at in bounced) / total
        yield f"sessions       {total:,.0f}, of which {rate:.1%} are of one event (bots left out)"
    found = _get(reader, "/api/v1/paths", {**span, "bots": "exclude", "limit": "500"})["paths"]
    if path := next((one for one in found if len(one["path"]) >= _SHORTEST_PATH), None):
        yield f"commonest path {' → '.join(path['path'])} ({path['sessions']:,} sessions)"
    hours = _points(reader, "events", "1h", span)
    if hours:
        busiest = max(hours, key=lambda at: (hours[at], at))
        yield f"busiest hour   {busiest} with {hours[busiest]:,.0f} events"
    yield from _anomalies(reader, span)


def _anomalies(reader: httpx.Client, span: Mapping[str, str]) -> Iterator[str]:
    found = _get(reader, "/api/v1/anomalies", {**span, "limit": "1000"})
    strongest = sorted(found["anomalies"], key=lambda one: (-one["score"], one["timestamp"]))
    more = "at least " if found["has_more"] else ""
    yield f"anomalies      {more}{len(strongest):,}{', the strongest:' if strongest else ''}"
    for one in strongest[:_SHOWN_ANOMALIES]:
        where = ", ".join(f"{name} {value}" for name, value in one["tags"].items() if name != "environment")
        yield (
            f"               {one['timestamp']} {one['metric']}{f' ({where})' if where else ''}"
            f" {one['value']:,.4g} instead of {one['expected']:,.4g}, {one['severity']}"
        )


def measure(since: str, variables: Mapping[str, str]) -> None:
    """Run `weir measure`: a process of its own, so that none of it stays in this one."""
    command = [sys.executable, "-m", "infra.cli.main", "measure", "--from", since]
    given = {**os.environ, **variables}
    try:
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=_MEASURE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise client.CommandError("`weir measure` did not end in time; the schedule goes on with it.") from None
    if done.returncode:
        raise client.CommandError(done.stderr.strip() or "`weir measure` failed.")


def _timestamp(reader: httpx.Client, order: str) -> str | None:
    page = _get(reader, "/api/v1/events", {"order": order, "limit": "1", "fields": "timestamp"})["events"]
    return str(page[0]["timestamp"]) if page else None


def _day(timestamp: str, after: int = 0) -> str:
    """The start of the day of a time, or of one so many days after."""
    day = instants.from_text(timestamp) // _DAY + after
    return instants.to_text(day * _DAY)


def _points(reader: httpx.Client, metric: str, interval: str, span: Mapping[str, str]) -> dict[str, Any]:
    series = _get(reader, f"/api/v1/metrics/{metric}", {**span, "interval": interval})["series"]
    return {point["timestamp"]: point["value"] for one in series for point in one["points"]}


def _get(reader: httpx.Client, path: str, params: Mapping[str, str]) -> dict[str, Any]:
    return client.expect(client.patiently(reader, "GET", path, params=dict(params)))
