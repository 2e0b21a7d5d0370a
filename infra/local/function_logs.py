"""What the functions write to their log, in a file: the emulator keeps it in memory alone, and without end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from .functions import STACK_NAME, client
from .packaging import STAGES

_POLL_SECONDS = 2.0
# From here on the emulator forgets what was read. What is written between the last look and this is lost,
# some milliseconds' worth; forgetting at each look would lose more often.
_FORGET_LINES = 3_000
_PLATFORM = ("START RequestId", "END RequestId", "REPORT RequestId")


class FunctionLogs:
    """Copies the functions' log lines to a file until it is told to stop."""

    def __init__(self, emulator_url: str, file: Path) -> None:
        self._url, self._file = emulator_url, file
        self._stop = threading.Event()
        self._since: dict[str, int] = {}
        self._seen: dict[str, set[str]] = {}
        self._thread = threading.Thread(target=self._run, name="function-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(_POLL_SECONDS)

    def _run(self) -> None:
        logs = client("logs", self._url)
        while not self._stop.wait(_POLL_SECONDS):
            for stage in STAGES:
                try:
                    self._copy(logs, stage)
                except Exception as error:  # noqa: BLE001  the emulator may be on its way up again
                    self._write(stage, [f"(no log: {type(error).__name__})"] if self._seen.pop(stage, None) else [])

    def _copy(self, logs: Any, stage: str) -> None:
        group = f"/aws/lambda/{STACK_NAME}-{stage}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return
        seen = self._seen.setdefault(stage, set())
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=self._since.get(stage, 0)
        )
        events = [event for page in pages for event in page["events"]]
        fresh = [event for event in events if event["eventId"] not in seen]
        self._write(stage, [event["message"] for event in fresh if not event["message"].startswith(_PLATFORM)])
        seen.update(event["eventId"] for event in fresh)
        if events:
            self._since[stage] = max(event["timestamp"] for event in events)
        if len(seen) > _FORGET_LINES:
            logs.delete_log_group(logGroupName=group)
            seen.clear()

    def _write(self, stage: str, lines: list[str]) -> None:
        if lines:
            with self._file.open("a") as file:
                file.writelines(f"{stage} {line}\n" for line in lines)
