"""``python -m benchmarks.profile FOLDER``: where the store's CPU goes in ticks, statement by statement.

The folder keeps the week of *measure*, rebuilt and merged, for the next time; ticks are run on a copy of it. Statements
run one at a time meanwhile, as the engine says of none what it took: so ticks are slower, and their CPU is the same.
What the store merges by itself is booked to whatever runs at that moment.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from benchmarks.machine import cpu_seconds
from benchmarks.measure import Bench, also_raw, generate
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from tests.support.clickhouse import ClickHouse
from tests.support.questdb import QuestDb

_SHOWN = 70
_TURN = "measure_leases"
_COUNT = "events.txt"
# What one statement has of its own, and another of the same kind has not.
_OWN = re.compile(r"\d{6,}")
_OF_WHAT = re.compile(r"'(\w+)' AS source, '(\w*)' AS slot|'(1h|1d)' AS step")


class Spent:
    """What statements took of a process: seconds of the clock, of CPU, and how many they were, by their beginning."""

    def __init__(self, pid: int) -> None:
        self._pid, self._turn = pid, RLock()
        self.by: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])

    def on(self, work: Callable[[], Any], sql: str) -> Any:
        """Do some work, and book it."""
        with self._turn:
            began, before = time.perf_counter(), cpu_seconds(self._pid)
            try:
                return work()
            finally:
                booked = self.by[_named(sql)]
                for place, more in enumerate((time.perf_counter() - began, cpu_seconds(self._pid) - before, 1)):
                    booked[place] += more

    def show(self, most: int) -> None:
        """Print what took the most."""
        total = sum(cpu for _, cpu, _ in self.by.values()) or 1.0
        print(f"{'clock':>8} {'cpu':>8} {'share':>6} {'times':>6}  statement; {total:.2f} s of CPU in all")
        for sql, (clock, cpu, times) in sorted(self.by.items(), key=lambda one: -one[1][1])[:most]:
            print(f"{clock:8.2f} {cpu:8.2f} {cpu / total:6.1%} {times:6.0f}  {sql}")


def _named(sql: str) -> str:
    """The beginning of a statement, and of what metrics it is."""
    plain = _OWN.sub("…", " ".join(sql.split()))
    told = _OF_WHAT.search(plain)
    return f"{plain[:_SHOWN]} [{' '.join(filter(None, told.groups()))}]" if told else plain[:_SHOWN]


def watch(pid: int) -> Spent:
    """Book each statement of the batches from here on."""
    spent, run = Spent(pid), ClickHouseBatch.run
    rows, text = ClickHouseBatch.rows, ClickHouseBatch.text

    def booked_run(self: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> None:
        # The turn is renewed from beside, and must not wait until it is lost.
        if sql.startswith(f"INSERT INTO {_TURN}"):
            run(self, sql, parameters)
        else:
            spent.on(lambda: run(self, sql, parameters), sql)

    def booked_rows(self: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        found = rows(self, sql, parameters)
        yield from found if _TURN in sql else spent.on(lambda: list(found), sql)

    def booked_text(self: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        yield from spent.on(lambda: list(text(self, sql, parameters)), sql)

    ClickHouseBatch.run = booked_run  # type: ignore[method-assign]
    ClickHouseBatch.rows = booked_rows  # type: ignore[method-assign]
    ClickHouseBatch.text = booked_text  # type: ignore[method-assign]
    return spent


def _build(folder: Path, count: int) -> None:
    def fill(bench: Bench, _: int) -> None:
        generate(bench.client, 1, count, count // 10)
        also_raw(bench.client)
        bench.rebuild()
        bench.rest()

    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        week = Path(made) / "week"
        week.mkdir()
        _with(week, fill)
        (week / _COUNT).write_text(str(count))
        # Last, so that what is half built is never taken for whole.
        week.rename(folder)


def _with(folder: Path, work: Callable[[Bench, int], None]) -> None:
    server, series = ClickHouse(folder / "data"), QuestDb(folder / "questdb")
    try:
        server.start()
        series.start()
        assert server._process is not None
        work(Bench(server, series), server._process.pid)
    finally:
        series.stop()
        server.stop()


def main() -> int:
    """Build what is not there yet, run the ticks, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the week is kept; made if it is not there")
    parser.add_argument("--events", type=int, default=10_000_000, help="how many the week has (10 million)")
    parser.add_argument("--ticks", type=int, default=3, help="how many ticks (3)")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", help="the minute of the first (0; 7 fills a block)"
    )
    parser.add_argument("--most", type=int, default=40, help="how many statements are shown (40)")
    options = parser.parse_args()
    options.folder.parent.mkdir(parents=True, exist_ok=True)
    if not options.folder.exists():
        _build(options.folder, options.events)
    if not (options.folder / _COUNT).exists():
        parser.error(f"{options.folder} holds no week of events: name a folder that is not there yet")
    events = int((options.folder / _COUNT).read_text())
    if events != options.events:
        parser.error(f"{options.folder} has {events:,} events: say --events {events}, or name another folder")

    def ticks(bench: Bench, pid: int) -> None:
        visitors = events // 10
        for minute in range(options.first):
            bench.tick(minute, visitors)
        spent = watch(pid)
        for minute in range(options.first, options.first + options.ticks):
            bench.tick(minute, visitors)
        spent.show(options.most)

    with tempfile.TemporaryDirectory(dir=options.folder.parent) as copy:
        shutil.copytree(options.folder, copy, symlinks=True, dirs_exist_ok=True)
        _with(Path(copy), ticks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
