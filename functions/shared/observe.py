"""One structured log line and one EMF metrics line an invocation. Nothing personal goes into either.

The log line has all counts and times; metrics are those that metric_names.py declares, since each costs by its name.
"""

import sys
from collections.abc import Mapping
from typing import IO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.shared.errors import Misconfigured
from functions.shared.metric_names import KEY, NAMESPACE, UNITS


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
        refused_key: str = "",
    ) -> None:
        """The line of an invocation: what it was asked, what came of it, and the milliseconds of each step."""
        told = {"request_id": request_id, "status": status, "counts": dict(counts), "step_ms": dict(step_ms)}
        self._logger.info(operation, extra=told | ({KEY: refused_key} if refused_key else {}))
        measured = {_metric_name(name): float(count) for name, count in counts.items()}
        measured |= {_metric_name(name) + "Time": milliseconds for name, milliseconds in step_ms.items()}
        self.gauges(measured, refused_key)

    def gauges(self, values: Mapping[str, float], key_id: str = "") -> None:
        """How things stand, by the names of metrics; with a key's id, how they stand by that key."""
        told = {name: value for name, value in values.items() if name in UNITS}
        for name, value in told.items():
            self._metrics.add_metric(name, MetricUnit(UNITS[name]), value)
        if told:
            if key_id:
                self._metrics.add_metadata(KEY, key_id)
            self._metrics.flush_metrics()

    def failure(self, what: str, error: BaseException) -> None:
        """An error that was caught at a loop: its type and place, never the values it carries.

        What is wrong with a setting is told in full, since it names the variable and never its value.
        """
        told = {"what": what, "error": type(error).__name__, "at": _place(error)}
        if isinstance(error, Misconfigured):
            told["detail"] = str(error)
        self._logger.error("failure", extra=told)
        self.gauges({"Failures": 1})


def _metric_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
