"""Sends the records of a file in batches, and keeps account of every one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from infra.cli.client import CommandError, document, patiently, problem
from infra.cli.importing.progress import Progress, ProgressFile
from infra.cli.importing.records import Record

BATCH_EVENTS = 500
# Below what a request may be, and what hosts with lower limits take.
BATCH_BYTES = 3 * 1024 * 1024
_PATH = "/api/v1/events/batch"
_TOO_LARGE, _ALL_BAD, _OK = 413, 400, 202
_ROUNDS = 8


@dataclass
class Sender:
    """One import of one file. The same records make the same requests, whenever they are sent."""

    client: httpx.Client
    sha256: str
    account: ProgressFile
    progress: Progress
    told: Callable[[Progress], None] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep

    def send(self, records: Iterable[Record], rate: float | None = None) -> None:
        """Send all, saving the account after each acknowledged batch. Raises :class:`CommandError`."""
        began, before = time.monotonic(), self.progress.acknowledged
        size = BATCH_EVENTS if rate is None else max(1, min(BATCH_EVENTS, int(rate)))
        for batch in batches(records, size):
            if self.stopping():
                return
            self._batch(batch, _ROUNDS)
            self.progress.acknowledged += len(batch)
            self.account.save(self.progress)
            self.told(self.progress)
            if rate is not None:
                ahead = (self.progress.acknowledged - before) / rate - (time.monotonic() - began)
                self.sleep(max(0.0, ahead))
        self.progress.complete = True
        self.account.save(self.progress)

    def _batch(self, batch: list[Record], rounds: int) -> None:
        """One request, cut in two while it is too large; what the answer asks to resend is sent again."""
        response = self._post(batch)
        if response.status_code == _TOO_LARGE:
            if len(batch) == 1:
                content = document(response)
                self._reject(batch[0], content.get("code", "request_too_large"), "", problem(_TOO_LARGE, content))
                return
            middle = len(batch) // 2
            self._batch(batch[:middle], rounds)
            self._batch(batch[middle:], rounds)
            return
        content = document(response)
        if response.status_code not in (_OK, _ALL_BAD) or "results" not in content:
            raise CommandError(f"line {batch[0].line}: {problem(response.status_code, content)}")
        if content.get("received") != len(batch):
            raise CommandError(
                f"Lines {batch[0].line} to {batch[-1].line} hold {len(batch)} events,"
                f" but Weir received {content.get('received')}."
            )
        again = self._account(batch, content["results"])
        if again:
            if not rounds:
                raise CommandError(f"line {again[0].line}: Weir keeps asking for it to be sent again.")
            self.sleep(2.0 ** (_ROUNDS - rounds) / 4)
            self._batch(again, rounds - 1)

    def _post(self, batch: list[Record]) -> httpx.Response:
        # With the key, a line that is no JSON, and so holds no id of its own, gets the same id each time.
        headers = {
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": f"import:{self.sha256}:{batch[0].line}",
        }
        body = b"\n".join(record.body for record in batch)
        return patiently(self.client, "POST", _PATH, content=body, headers=headers, sleep=self.sleep)

    def _account(self, batch: list[Record], results: list[dict[str, Any]]) -> list[Record]:
        """Count what became of each event. Returns those to send again."""
        again: list[Record] = []
        dropped = 0
        for result in results:
            record = batch[result["index"]]
            kind = result["result"]
            if kind == "retry":
                again.append(record)
            elif kind == "drop":
                dropped += 1
                errors = result.get("errors") or [{}]
                told = errors[0]
                place = ".".join(str(part) for part in told.get("loc", ()))
                message = told.get("message", "no reason given")
                self._reject(
                    record,
                    told.get("code", "rejected"),
                    result.get("event_id", ""),
                    f"{place}: {message}" if place else message,
                )
            elif kind == "duplicate":
                self.progress.duplicates += 1
        self.progress.accepted += len(batch) - dropped - len(again)
        return again

    def _reject(self, record: Record, code: str, event_id: str, message: str) -> None:
        self.progress.reject(code, record.line, event_id, message, record.excerpt)


def batches(
    records: Iterable[Record], size: int = BATCH_EVENTS, most_bytes: int = BATCH_BYTES
) -> Iterator[list[Record]]:
    """Records in their order, as many together as both bounds allow."""
    batch: list[Record] = []
    held = 0
    for record in records:
        if batch and (len(batch) == size or held + len(record.body) > most_bytes):
            yield batch
            batch, held = [], 0
        batch.append(record)
        held += len(record.body) + 1
    if batch:
        yield batch
