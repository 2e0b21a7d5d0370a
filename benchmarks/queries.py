"""How long questions to the API take on many events: the worst p95s of two programs, `query` and `computed`.

Ten million events, or one million. The last question, which no index can help and which looks at every event, is shown
but not held against the goal.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.computed import ask_all
from benchmarks.query import Bench, fill, questions
from benchmarks.results import Values
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from tests.support.serve_store import running_store


def measure(*, quick: bool = False) -> Values:
    events, runs = (1_000_000, 10) if quick else (10_000_000, 40)
    with tempfile.TemporaryDirectory(prefix="weir-query-") as folder, running_store(Path(folder)) as store:
        began = time.monotonic()
        fill(store, events)
        print(f"filled in {time.monotonic() - began:.0f} s")
        bench = Bench(ClickHouseReader(store.url, store.database), events, runs)
        *asked, (unindexed, scan) = questions(bench)
        for name, ask in asked:
            bench.measure(name, ask)
        worst, bench.worst = bench.worst, 0.0
        bench.measure(unindexed, scan)
    with tempfile.TemporaryDirectory(prefix="weir-computed-") as folder:
        computed = ask_all(events, runs, Path(folder))
    return {"query_p95_ms": worst, "query_scan_p95_ms": bench.worst, **computed}
