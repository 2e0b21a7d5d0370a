"""How long questions about what the batches computed take: ``python -m benchmarks.computed [--events 10000000]``.

The week of :mod:`benchmarks.measure` is generated with twenty event names and computed by the batches themselves; then
it is asked about through the real views and service. No question is asked twice, so none is answered from what is kept;
the last line asks one again and again. Times are milliseconds of the whole call.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import measure as batches
from benchmarks.results import Values
from functions.serve import analytics_views as views
from functions.serve.analytics import AnalyticsService
from functions.serve.answer_cache import AnswerCache
from functions.shared import wiring
from functions.shared.domain import instants
from functions.shared.edge import Request, answering
from tests.support.clickhouse import ClickHouse
from tests.support.questdb import QuestDb

GOAL_MS = 300
NAMES = 20
DAY = 86_400
View = Callable[..., Any]


class Question(NamedTuple):
    """What is measured under a name: a view, and what makes its parameters and what is in its path."""

    name: str
    view: View
    params: Callable[[], dict[str, str]]
    path: Callable[[], dict[str, str]] = dict


class Bench:
    """Asks questions and keeps the times."""

    def __init__(self, service: AnalyticsService, client: Any, runs: int) -> None:
        self._service, self._client, self._runs = service, client, runs
        self._chance = random.Random(1)
        self._cache = AnswerCache()

    def measure(self, question: Question, again: bool = False) -> float:
        """The p95 of a question; ``again`` asks the same one each time."""
        times = []
        given = question.params(), question.path()
        self._ask(question.view, *given)
        for _ in range(self._runs):
            given = given if again else (question.params(), question.path())
            began = time.perf_counter()
            self._ask(question.view, *given)
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        name = f"{question.name}, kept" if again else question.name
        print(f"{name:44}{p50:9.0f}{p95:9.0f}{'' if p95 < GOAL_MS else '  over the goal'}", flush=True)
        return p95

    def questions(self) -> Iterator[Question]:
        """What is asked."""
        yield Question("funnels, 3 steps", views.funnels, self._funnel)
        yield Question("funnels, 3 steps, a day", views.funnels, lambda: {**self._funnel(), **self._range(DAY)})
        yield Question("sessions, page 1", views.sessions, lambda: {"limit": str(self._chance.randrange(50, 200))})
        yield Question("sessions, a day's", views.sessions, lambda: self._range(DAY))
        yield Question("sessions, a user's", views.sessions, lambda: {"user_id": self._session()["user_id"]})
        yield Question("session by id", views.session, dict, lambda: {"session_id": self._session()["session_id"]})
        yield Question("journey", views.journey, dict, lambda: {"user_id": self._session()["user_id"]})
        yield Question("metrics, by platform, hours", views.metric, self._metric, lambda: {"name": "sessions"})
        yield Question("metrics, minutes", views.metric, self._minutes, lambda: {"name": "events"})

    def long_questions(self) -> Iterator[Question]:
        """What looks at every event of its range: kept to know what it costs."""
        yield Question("paths, a day", views.paths, lambda: self._range(DAY))
        yield Question("paths, the week", views.paths, lambda: {"limit": str(self._chance.randrange(10, 500))})
        yield Question("retention, the week", views.retention, lambda: self._range(6 * DAY))

    def _funnel(self) -> dict[str, str]:
        names = [f"{name} {number}" for name in ("Home", "Buy", "Search", "Pay") for number in range(NAMES // 4)]
        steps = self._chance.sample(names, 3)
        return {"steps": ",".join(steps), "window_seconds": str(self._chance.randrange(DAY, 2 * DAY))}

    def _metric(self) -> dict[str, str]:
        return {"interval": "1h", "group_by": "platform", **self._range(6 * DAY)}

    def _minutes(self) -> dict[str, str]:
        return {"interval": "1m", **self._range(DAY)}

    def _range(self, seconds: int) -> dict[str, str]:
        since = batches.START + self._chance.randrange(batches.WEEK - seconds)
        return {"from": _text(since), "to": _text(since + seconds)}

    def _session(self) -> dict[str, str]:
        at = batches.START + self._chance.randrange(batches.WEEK - DAY)
        rows = self._client.query(
            "SELECT toString(session_id), toString(user_id) FROM sessions WHERE user_id IS NOT NULL"
            " AND started_at >= toDateTime64({at:Int64}, 9, 'UTC') ORDER BY started_at LIMIT 1",
            parameters={"at": at},
        ).result_rows
        return dict(zip(("session_id", "user_id"), rows[0], strict=True))

    def _ask(self, view: View, params: dict[str, str], path: dict[str, str]) -> None:
        request = Request(
            params={name: [value] for name, value in params.items()}, path_params=path, path=f"{view.__name__}{path}"
        )
        answer = answering(lambda one: view(self._service, one, self._cache))(request)
        assert answer.status == 200, answer.body


def _text(seconds: int) -> str:
    return instants.to_text(seconds * instants.SECOND)


def ask_all(events: int, runs: int, folder: Path) -> Values:
    """Compute the week, and ask. Values by name, in milliseconds."""
    with ExitStack() as stack:
        server, series = ClickHouse(folder / "data"), QuestDb(folder / "questdb")
        server.start()
        stack.callback(server.stop)
        series.start()
        stack.callback(series.stop)
        made = batches.Bench(server, series)
        if not made.client.command("SELECT count() FROM processed_events"):
            batches.generate(made.client, 1, events, events // 10, names=NAMES)
            batches.also_raw(made.client)
            made.rebuild()
        wiring.analytics_service.cache_clear()
        bench = Bench(wiring.analytics_service(), made.client, runs)
        print(f"{'':44}{'p50 ms':>9}{'p95 ms':>9}")
        asked = list(bench.questions())
        worst = {question.name: bench.measure(question) for question in asked}
        for question in bench.long_questions():
            bench.measure(question)
        kept = bench.measure(asked[0], again=True)
    return {
        "funnels_p95_ms": max(worst[name] for name in worst if name.startswith("funnels")),
        "sessions_p95_ms": max(worst[name] for name in worst if name.startswith(("session", "journey"))),
        "metrics_p95_ms": max(worst[name] for name in worst if name.startswith("metrics")),
        "kept_answer_p95_ms": kept,
    }


def main() -> None:
    """Compute, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--data", type=Path, help="a folder to keep, and to use again")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-computed-")))
        folder.mkdir(parents=True, exist_ok=True)
        ask_all(options.events, options.runs, folder)


if __name__ == "__main__":
    main()
