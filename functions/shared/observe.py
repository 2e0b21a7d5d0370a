"""One structured log line and one EMF metrics line an invocation. Nothing personal goes into either."""

import sys
from collections.abc import Mapping
from typing import IO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "Weir"


class Observer:
    """Reports what an invocation did, for one stage (``collect``, ``enrich``, ``serve``)."""

    def __init__(self, stage: str, stream: IO[str] | None = None) -> None:
        # stderr: the log line must not wait behind a buffered stdout.
        self._logger = Logger(service=stage, stream=stream or sys.stderr, use_rfc3339=True, utc=True)
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=stage)
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
        self._logger.info(
            operation,
            extra={"request_id": request_id, "status": status, "counts": dict(counts), "step_ms": dict(step_ms)},
        )
        for name, count in counts.items():
            self._metrics.add_metric(_metric_name(name), MetricUnit.Count, count)
        for name, milliseconds in step_ms.items():
            self._metrics.add_metric(_metric_name(name) + "Time", MetricUnit.Milliseconds, milliseconds)
        self._metrics.flush_metrics()

    def request(self, operation: str, request_id: str, milliseconds: float, status: int) -> None:
        """The line of a request that has nothing to count but itself."""
        self.invocation(operation, request_id, {"requests": 1}, {"handle": round(milliseconds, 3)}, status)

    def failure(self, what: str, error: BaseException) -> None:
        """An error that was caught at a loop: its type and place, never the values it carries."""
        place = _place(error)
        self._logger.error("failure", extra={"what": what, "error": type(error).__name__, "at": place})
        self._metrics.add_metric("Failures", MetricUnit.Count, 1)
        self._metrics.flush_metrics()


def _metric_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
