"""From the schedule's event to one run of the drain, one log line, and an answer."""

from time import perf_counter
from typing import Any

from functions.enrich.drain import Drained
from functions.shared.edge import reporting
from functions.shared.wiring import drain, observer, slow_drain

# The longest a block may take to write, kept back of the function's time.
_RESERVE_SECONDS = 25.0
_LONGEST_SECONDS = 45.0


def answer(context: Any) -> dict[str, Any]:
    """Drain the queue for as long as the function may work. What is away now is tried again by the next tick."""
    return reporting(lambda: _run(context), "drain", observer("enrich").failure)


def _run(context: Any) -> dict[str, Any]:
    started = perf_counter()
    done = drain().run(_seconds(context))
    done = _then_slow(done, context)
    spent = {"drain": round((perf_counter() - started) * 1000, 3)}
    request_id = str(getattr(context, "aws_request_id", ""))
    observer("enrich").invocation(f"drain {done.state}", request_id, done.counts, spent)
    return done._asdict()


def _then_slow(done: Drained, context: Any) -> Drained:
    """The slow lane, once nothing else waits; what it does is added."""
    lane = slow_drain() if done.state == "empty" else None
    if lane is None:
        return done
    slow = lane.run(_seconds(context))
    counts = {name: done.counts.get(name, 0) + slow.counts.get(name, 0) for name in {**done.counts, **slow.counts}}
    return slow._replace(counts=counts)


def _seconds(context: Any) -> float:
    left = getattr(context, "get_remaining_time_in_millis", None)
    return _LONGEST_SECONDS if left is None else max(1.0, min(_LONGEST_SECONDS, left() / 1000 - _RESERVE_SECONDS))
