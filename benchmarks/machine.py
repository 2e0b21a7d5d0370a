"""Engines for a measurement, in a temporary folder, and what a process used of the machine."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local import engines, tools
from infra.local.surroundings import aws
from tests.support.clickhouse import with_tables
from tests.support.keys import VARIABLES as KEYS
from tests.support.nats import NatsServer, free_port, with_streams
from tests.support.polling import until

DATABASE = "weir"
_TICK = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parents[1]


@contextmanager
def nats() -> Iterator[NatsServer]:
    """A broker that flushes each message to the disk, with Weir's streams; its URL is in the environment."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, with_streams(Path(folder)) as server:
        os.environ["WEIR_NATS_URL"] = server.url
        os.environ.update(KEYS)
        yield server


@contextmanager
def sqs() -> Iterator[str]:
    """The emulator with a queue; what leads there is in the environment. Gives the queue's URL."""
    import boto3

    python, port = tools.environment("emulator", _ROOT, print), free_port()
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        service = engines.emulator(python, Path(folder), Path(folder), port, lambda: None)
        with service.log.open("wb") as log:
            process = subprocess.Popen(service.command, env=dict(service.environment), stdout=log, stderr=log)
        try:
            until(service.is_ready, 30, "the emulator")
            os.environ.update(aws(service.url) | KEYS)
            client: Any = boto3.client("sqs")
            os.environ["WEIR_SQS_QUEUE_URL"] = client.create_queue(QueueName="events")["QueueUrl"]
            yield os.environ["WEIR_SQS_QUEUE_URL"]
        finally:
            process.kill()
            process.wait()


@contextmanager
def clickhouse() -> Iterator[int]:
    """The store with its tables, its URL in the environment. Gives the process id."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, with_tables(Path(folder)) as server:
        os.environ.update(WEIR_CLICKHOUSE_URL=server.url, WEIR_CLICKHOUSE_DATABASE=DATABASE)
        assert server._process is not None
        yield server._process.pid


def with_geo() -> str:
    """Geolocation as deployed when the databases are here, else with the test database; says which."""
    full = _ROOT / ".weir" / "geo"
    found = full if any(full.glob("*.mmdb")) else _ROOT / "tests" / "data"
    os.environ["WEIR_GEO_PATH"] = str(found)
    return "full" if found == full else "test"


@contextmanager
def quiet() -> Iterator[Callable[[], int]]:
    """Standard output and error into a file, as Lambda takes them: log lines cost their write. Gives its size."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield lambda: os.fstat(sink.fileno()).st_size
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])


def pace() -> float:
    """How fast a core is just now: millions of plain Python steps in a second of its time, the best of three."""
    return max(_steps_per_second() for _ in range(3)) / 1e6


def _steps_per_second(steps: int = 1_000_000) -> float:
    began, sum_of = time.process_time(), 0
    for step in range(steps):
        sum_of += step * step % 7
    return steps / (time.process_time() - began)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_mb(pid: int) -> float:
    """What a process holds in memory."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        left += children.get(one, [])
    return found
