"""From the schedule's event to one call of the service, one log line, and an answer."""

from typing import Any

from functions.shared.edge import reporting
from functions.shared.errors import Retry
from functions.shared.wiring import eraser, measure_service, measure_settings, observer, standing

# What is kept back of the function's time: for the step in hand to end, and for what follows the sessions.
_RESERVE_SECONDS = 60.0


def answer(context: Any) -> dict[str, Any]:
    """Run the batches for as long as the function may work. What is away now is tried again by the next tick."""
    return reporting(lambda: _run(context), "measure", observer("measure").failure)


def _run(context: Any) -> dict[str, Any]:
    request_id = str(getattr(context, "aws_request_id", ""))
    seconds = _seconds(context)
    _erase(request_id, seconds)
    done = measure_service().run(seconds)
    observer("measure").invocation(f"measure {done.state}", request_id, done.counts, done.step_ms)
    observer("measure").gauges(standing())
    return {"state": done.state, "counts": done.counts, "step_ms": done.step_ms, "detail": done.detail}


def _erase(request_id: str, seconds: float) -> None:
    """Go on with who is to be forgotten. What cannot be done now is gone on with by the next tick."""
    try:
        erased = eraser(seconds).run()
    except Retry as error:
        observer("measure").failure("erase", error)
        return
    if erased:
        observer("measure").invocation("erase", request_id, {"erasures": erased}, {})


def _seconds(context: Any) -> float:
    longest = float(measure_settings().measure_run_seconds)
    left = getattr(context, "get_remaining_time_in_millis", None)
    return longest if left is None else max(1.0, min(longest, left() / 1000 - _RESERVE_SECONDS))
