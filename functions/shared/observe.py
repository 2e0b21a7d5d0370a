"""One structured log line and one EMF metrics line an invocation. Nothing personal goes into either.

Both are written by hand: a logging library's line costs as much as validating ten events.
"""

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

NAMESPACE = "Weir"
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class Observer:
    """Reports what an invocation did, for one stage (``collect``, ``enrich``, ``serve``)."""

    def __init__(self, stage: str, stream: IO[str] | None = None) -> None:
        # stderr: the log line must not wait behind a buffered stdout.
        self._stream = stream or sys.stderr
        self._stage = stage

    def invocation(
        self,
        operation: str,
        request_id: str,
        counts: Mapping[str, int],
        step_ms: Mapping[str, float],
        status: int = 0,
    ) -> None:
        """The line of an invocation: what it was asked, what came of it, and the milliseconds of each step."""
        told = {"request_id": request_id, "status": status, "counts": dict(counts), "step_ms": dict(step_ms)}
        self._log("INFO", operation, told)
        metrics: dict[str, tuple[str, float]] = {_metric_name(name): ("Count", count) for name, count in counts.items()}
        metrics |= {_metric_name(name) + "Time": ("Milliseconds", spent) for name, spent in step_ms.items()}
        self._measure(metrics)

    def failure(self, what: str, error: BaseException) -> None:
        """An error that was caught at a loop: its type and place, never the values it carries."""
        self._log("ERROR", "failure", {"what": what, "error": type(error).__name__, "at": _place(error)})
        self._measure({"Failures": ("Count", 1)})

    def _log(self, level: str, message: str, told: Mapping[str, Any]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"level": level, "message": message, "timestamp": moment, "service": self._stage, **told}
        self._stream.write(_ENCODE(line) + "\n")
        self._stream.flush()

    def _measure(self, metrics: Mapping[str, tuple[str, float]]) -> None:
        """CloudWatch's embedded metric format: the names and units, then the values."""
        if not metrics:
            return
        declared = {
            "Namespace": NAMESPACE,
            "Dimensions": [["service"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, (unit, _) in metrics.items()],
        }
        head = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [declared]}
        values = {name: [float(value)] for name, (_, value) in metrics.items()}
        print(_ENCODE({"_aws": head, "service": self._stage, **values}))


def _metric_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
