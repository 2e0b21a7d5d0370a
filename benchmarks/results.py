"""What a piece measured, held against the goals, as a table and as ``last.json``."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LAST = Path(__file__).with_name("last.json")
PAGE = Path(__file__).with_name("last.md")

# name: (goal, unit, whether more is better)
GOALS: Mapping[str, tuple[float, str, bool]] = {
    "ledger_100_share_of_stored": (0.05, "of stored bytes", False),
    "ledger_1_share_of_stored": (0.05, "of stored bytes", False),
    "trust_collect_100_ratio": (1.15, "times", False),
    "trust_enrich_ratio": (1.15, "times", False),
    "collect_events_per_cpu_second": (100_000, "events/s", True),
    "enrich_events_per_cpu_second": (40_000, "events/s", True),
    "pipe_events_per_cpu_second": (27_000, "events/s", True),
    "baseline_ratio": (6.0, "times", True),
    "bare_floor_ratio": (0.9, "times", True),
    "stack_events_per_second": (10_000, "events/s", True),
    "stack_stored_events_per_second": (10_000, "events/s", True),
    "stack_ack_p99_ms": (100, "ms", False),
    "stack_stored_p95_ms": (2_000, "ms", False),
    "stack_lost_events": (0, "events", False),
    "query_p95_ms": (300, "ms", False),
    "funnels_p95_ms": (300, "ms", False),
    "sessions_p95_ms": (300, "ms", False),
    "metrics_p95_ms": (300, "ms", False),
    "measure_rebuild_seconds": (60, "s", False),
    "measure_tick_seconds": (3, "s", False),
    "measure_growth_ratio": (12, "times", False),
    "measure_function_mb": (512, "MB", False),
    "replay_events_per_second": (5_000, "events/s", True),
    "cost_nats_100_usd": (0.05, "$/million", False),
    "cost_sqs_100_usd": (0.09, "$/million", False),
    "size_collect_nats_mb": (10, "MB", False),
    "init_collect_nats_p50_ms": (300, "ms", False),
    "init_collect_sqs_p50_ms": (600, "ms", False),
    "init_enrich_p50_ms": (500, "ms", False),
    "init_serve_p50_ms": (450, "ms", False),
    "init_collect_nats_by_reference_p50_ms": (300, "ms", False),
    "init_enrich_by_reference_p50_ms": (500, "ms", False),
    "init_serve_by_reference_p50_ms": (450, "ms", False),
}

Values = dict[str, float]


def judged(values: Mapping[str, float], *, quick: bool, pace: float) -> dict[str, dict[str, Any]]:
    """Each value with its unit and goal; a value without a goal has none to reach. ``pace``: the machine's."""
    return {name: _judged(name, value, quick, pace) for name, value in values.items()}


def _judged(name: str, value: float, quick: bool, pace: float) -> dict[str, Any]:
    goal, unit, more = GOALS.get(name, (None, _unit(name), True))
    reached = None if goal is None else value >= goal if more else value <= goal
    return {
        "value": round(value, 4 if value < 1 else 2),
        "unit": unit,
        "goal": goal,
        "reached": reached,
        "quick": quick,
        "pace": round(pace, 1),
    }


def _unit(name: str) -> str:
    endings = {
        "_us": "µs/event",
        "_mb": "MB",
        "_ms": "ms",
        "_seconds": "s",
        "_second": "events/s",
        "_ratio": "times",
        "_usd": "$/million",
    }
    return next((unit for ending, unit in endings.items() if name.endswith(ending)), "")


def write(found: Mapping[str, dict[str, Any]]) -> None:
    """Into ``last.json`` and, to be read, ``last.md``; what other pieces measured before stays."""
    known = {**last(), **found}
    LAST.write_text(json.dumps(known, indent=2) + "\n")
    PAGE.write_text(page(known))


def page(found: Mapping[str, dict[str, Any]]) -> str:
    """What was measured, as ``last.md`` holds it."""
    lines = [_HEAD, "| measure | value | unit | goal | reached | run | pace |", "|---|---:|---|---:|---|---|---:|"]
    for name, one in found.items():
        goal = "" if one["goal"] is None else f"{one['goal']:,}"
        verdict = {None: "", True: "yes", False: "**no**"}[one["reached"]]
        run = "quick" if one["quick"] else "full"
        lines.append(
            f"| {name} | {one['value']:,} | {one['unit']} | {goal} | {verdict} | {run} | {one.get('pace') or ''} |"
        )
    return "\n".join(lines) + "\n"


_HEAD = """\
# The last run of each piece
Written by `python -m benchmarks`. Two cores; *pace* is how fast one was: millions of plain Python steps in a second of
its time. Where there is none, it was not measured. Values of different paces do not compare.
"""


def last() -> dict[str, dict[str, Any]]:
    """What was measured last, piece by piece."""
    return json.loads(LAST.read_text()) if LAST.exists() else {}


def show(found: Mapping[str, dict[str, Any]]) -> None:
    """As a table."""
    load = os.getloadavg()[0]
    table = Table(caption=f"{os.cpu_count()} cores; load average at the end {load:.1f}")
    for column in ("measure", "value", "unit", "goal", "reached"):
        table.add_column(column, justify="right" if column in ("value", "goal") else "left")
    for name, one in found.items():
        value: float = one["value"]
        goal = "" if one["goal"] is None else f"{one['goal']:,}"
        verdict = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[one["reached"]]
        table.add_row(name, f"{value:,.0f}" if value >= 1_000 else f"{value:,.2f}", str(one["unit"]), goal, verdict)
    Console().print(table)
