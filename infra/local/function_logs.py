"""What the functions write to their log, in a file: the emulator keeps it in memory alone, and without end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .exposition import Exposition
from .functions import STACK_NAME, client, client_errors
from .packaging import STAGES

_POLL_SECONDS = 2.0
_FINISH_SECONDS = 0.5
# From here on the emulator forgets what was read. What is written between the last look and this is lost,
# some milliseconds' worth; forgetting at each look would lose more often.
_FORGET_INVOCATIONS = 1_000
_PLATFORM = ("START RequestId", "END RequestId", "REPORT RequestId")


class FunctionLogs:
    """Copies the functions' log lines to a file until it is told to stop."""

    def __init__(self, emulator_url: str, file: Path, also: Callable[[], str]) -> None:
        """``also``: what a Prometheus server is told besides, asked again at each look."""
        self._url, self._file, self._also = emulator_url, file, also
        self._stop = threading.Event()
        self._metrics = Exposition()
        # The emulator writes each invocation at once, to a stream of its own: one that was read is complete.
        self._read: dict[str, set[str]] = {stage: set() for stage in STAGES}
        self._since = dict.fromkeys(STAGES, 0)
        self._thread = threading.Thread(target=self._run, name="function-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(_FINISH_SECONDS)

    def _run(self) -> None:
        logs = client("logs", self._url)
        while not self._stop.wait(_POLL_SECONDS):
            for stage in STAGES:
                try:
                    self.copy(logs, stage)
                except client_errors():
                    # The emulator is on its way up again, and knows nothing of before.
                    self._since[stage] = 0
                    self._read[stage].clear()
            self._metrics.write(self._file.parent, self._also())

    def copy(self, logs: Any, stage: str) -> None:
        """Take what a function has logged since the last time."""
        group = f"/aws/lambda/{STACK_NAME}-{stage}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return
        read = self._read[stage]
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=self._since[stage])
        events = [event for page in pages for event in page["events"] if event["logStreamName"] not in read]
        if not events:
            return
        self._write(stage, [event["message"] for event in events if not event["message"].startswith(_PLATFORM)])
        read.update(event["logStreamName"] for event in events)
        self._since[stage] = max(event["timestamp"] for event in events)
        if len(read) > _FORGET_INVOCATIONS:
            logs.delete_log_group(logGroupName=group)
            read.clear()

    def _write(self, stage: str, lines: list[str]) -> None:
        with self._file.open("a") as file:
            file.writelines(f"{stage} {line}\n" for line in lines)
        for line in lines:
            self._metrics.take(line)
