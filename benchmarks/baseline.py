"""The baseline: the same events and the same broker behind FastAPI, in events per CPU-second of the server's process.

One connection, requests of 100 events, all valid (one bad event would make FastAPI refuse the whole request, where Weir
refuses that event). The ratios hold collect's handler against it. That handler parses no HTTP, which on AWS is the
gateway's part, and does what the baseline does not: judges each event, gives ids, detects resends, logs, counts.
"""

import http.client
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import collect
from benchmarks.events import Events
from benchmarks.machine import cpu_seconds, nats
from benchmarks.results import Values
from tests.support.nats import free_port
from tests.support.polling import until

EVENTS_A_REQUEST = 100
_WARM_UP = 5


def measure(*, quick: bool = False) -> Values:
    """For five seconds of CPU each, or one and a half."""
    with nats():
        one_an_event = _serve("/event", quick)
    with nats():
        one_a_request = _serve("/request", quick)
    reached = collect.measure(quick=quick)["collect_events_per_cpu_second"]
    return {
        "baseline_events_per_cpu_second": one_an_event,
        "baseline_ratio": reached / one_an_event,
        "bare_floor_events_per_cpu_second": one_a_request,
        "bare_floor_ratio": reached / one_a_request,
    }


def _serve(path: str, quick: bool) -> float:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.baseline_app:app", "--port", str(port)]
    server = subprocess.Popen([*command, "--no-access-log", "--log-level", "warning"], cwd=Path(__file__).parents[1])
    try:
        until(lambda: _answers(port), 30, "the baseline")
        return _ask(port, path, server.pid, 1.5 if quick else 5.0)
    finally:
        server.terminate()
        server.wait(timeout=10)


def _answers(port: int) -> bool:
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
    except OSError:
        return False
    return True


def _ask(port: int, path: str, pid: int, seconds: float) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    events = Events(invalid=False)
    count = -_WARM_UP
    before, patience = 0.0, time.monotonic() + 20 * seconds
    while count <= 0 or (cpu_seconds(pid) - before < seconds and time.monotonic() < patience):
        if count == 0:
            before = cpu_seconds(pid)
        connection.request("POST", path, events.body(EVENTS_A_REQUEST), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        count += 1
    return count * EVENTS_A_REQUEST / (cpu_seconds(pid) - before)
