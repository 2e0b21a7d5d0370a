"""The whole of Weir on this machine, through the front door, and every acknowledged event counted in the store after.

First a closed loop, as fast as acknowledgements come: ``stack_events_per_second`` counts these. The queue grows
meanwhile; all that was acknowledged is then waited for and counted: events in processed_events plus failed ones in
raw_events, each id once. ``stack_stored_events_per_second`` is over all of that time. Then an open loop of 5,000
events/s: how long an acknowledgement takes, and how long from it until the event is stored.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import clickhouse_connect

from benchmarks.machine import family, rss_mb
from benchmarks.results import Values
from infra.local.stack import DATABASE, FREE, Stack

_SETTLE_SECONDS = 300
_LOOK_SECONDS = 1.0
_COUNT = """
SELECT count(), uniqExact(event_id) FROM (
  SELECT event_id FROM processed_events UNION ALL SELECT event_id FROM raw_events WHERE processing_status = 'failed')
"""
_STORED = """
SELECT toString(batch_id), toFloat64(max(stored_at)), count() FROM processed_events GROUP BY batch_id
"""


def measure(*, quick: bool = False) -> Values:
    """A minute of each loop, or ten seconds."""
    seconds = 10 if quick else 60
    with tempfile.TemporaryDirectory(prefix="weir-stack-") as folder, Stack(data_dir=Path(folder), ports=FREE) as stack:
        store = clickhouse_connect.get_client(dsn=stack.clickhouse_url, database=DATABASE)
        _load(stack, "closed", 3)
        before, _ = _settled(store)
        began = time.monotonic()
        closed = _load(stack, "closed", seconds)
        counted, _ = _settled(store, before + closed["acknowledged"])
        until_stored = time.monotonic() - began
        with _watched(stack) as memory:
            paced = _load(stack, "open", seconds)
        after, after_unique = _settled(store, counted + paced["acknowledged"])
        stored_ms = _stored_ms(store, paced["acked_at"])
    acknowledged = closed["acknowledged"] + paced["acknowledged"]
    print(f"closed loop: {closed['acknowledged']:,} events acknowledged, {counted - before:,} stored;", end=" ")
    print(f"open loop: {paced['acknowledged']:,} acknowledged, {after - counted:,} stored")
    print(f"refused by status: {closed['refused']} {paced['refused']}; stored twice: {after - after_unique}")
    values = {
        "stack_events_per_second": closed["acknowledged"] / closed["seconds"],
        "stack_stored_events_per_second": (counted - before) / until_stored,
        "stack_ack_p99_ms": _share(paced["ack_ms"], 0.99),
        "stack_stored_p95_ms": _share(stored_ms, 0.95),
        "stack_lost_events": acknowledged - (after_unique - before),
        "stack_twice_events": after - after_unique,
        "stack_closed_ack_p99_ms": _share(closed["ack_ms"], 0.99),
        "stack_open_events_per_second": paced["acknowledged"] / paced["seconds"],
        "stack_refused_requests": sum(closed["refused"].values()) + sum(paced["refused"].values()),
    }
    return values | _trend(memory)


def _load(stack: Stack, kind: str, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.stack_client", stack.base_url, kind, str(seconds)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return json.loads(told.stdout.splitlines()[-1])


def _settled(store: Any, expected: int | None = None) -> tuple[int, int]:
    """The count once it is what is expected; without that, or when that never comes, once it stands still."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    found, still = (-1, -1), time.monotonic()
    while time.monotonic() < deadline:
        now = tuple(store.query(_COUNT).result_rows[0])
        if now != found:
            found, still = now, time.monotonic()
        if found[0] == expected or time.monotonic() - still > (5 if expected is None else 60):
            break
        time.sleep(0.5)
    return found


def _stored_ms(store: Any, acked_at: dict[str, float]) -> list[float]:
    """Of every event: from its acknowledgement until the last of its batch was stored."""
    times: list[float] = []
    for batch, stored_at, count in store.query(_STORED).result_rows:
        if batch in acked_at:
            times += [max(0.0, (stored_at - acked_at[batch]) * 1000)] * count
    return sorted(times)


@contextmanager
def _watched(stack: Stack) -> Iterator[list[dict[str, float]]]:
    """What each service holds in memory, looked at again and again while inside."""
    seen: list[dict[str, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            seen.append(_memory(stack))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _trend(seen: list[dict[str, float]]) -> Values:
    """Median of the first and of the last third, and the peak: what a merge in the store takes it gives back."""
    third = max(1, len(seen) // 3)
    values = {}
    for name in seen[-1]:
        series = [one.get(name, 0.0) for one in seen]
        values[f"stack_{name}_first_rss_mb"] = median(series[:third])
        values[f"stack_{name}_last_rss_mb"] = median(series[-third:])
        values[f"stack_{name}_peak_rss_mb"] = max(series)
    return values


def _memory(stack: Stack) -> dict[str, float]:
    """Of each service, with the processes below it (the emulator's are the functions)."""
    found = {}
    for name, one in stack.running.items():
        if one.pid:
            found[name.replace(" ", "_")] = sum(rss_mb(pid) for pid in family(one.pid))
    return found


def _share(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("inf")
