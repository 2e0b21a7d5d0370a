"""What the witness wrote, read as sets of events. Pure but for reading the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Sent(NamedTuple):
    """One event of one request: its index there and what the witness knows of it."""

    event_id: str
    valid: bool
    name: str
    user: str
    true: float


@dataclass
class Account:
    """Who is to be found where.

    ``counted``   acknowledged valid events: processed, once
    ``failed``    refused events of which no valid delivery was acknowledged: visible as failed, once
    ``unsure``    sent, and neither acknowledged nor refused to this day: once or not at all
    ``odd``       answers that contradict what the witness knows
    """

    counted: dict[str, Sent] = field(default_factory=dict)
    failed: dict[str, Sent] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)
    batches: set[str] = field(default_factory=set)

    @property
    def known(self) -> set[str]:
        """Every id that may be in a store."""
        return {*self.counted, *self.failed, *self.unsure}

    @property
    def acknowledged(self) -> int:
        """Events that were accepted, each once."""
        return len(self.counted)

    def statuses(self, since: float = 0, until: float = float("inf")) -> Counter[int]:
        """How often each status was answered in a time; 0 is no answer at all."""
        return Counter(status for at, status in self.answers if since <= at < until)


def read(path: Path) -> Account:
    """Read a witness's file, which may still be written to."""
    account, sent = Account(), {}
    for line in _lines(path):
        if "sent" in line:
            sent[line["sent"]] = line["events"]
            account.unsure |= {one["id"] for one in line["events"] if one["id"]}
            continue
        account.answers.append((line["at"], line["status"]))
        if line["status"] in (200, 202, 400):
            _settle(account, sent[line["answer"]], line)
        elif line["status"] not in (0, 429, 503):
            account.odd.append(f"request {line['answer']} was answered {line['status']}")
    for event_id in account.counted:
        account.failed.pop(event_id, None)
    account.unsure -= account.counted.keys() | account.failed.keys()
    return account


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_bytes() if path.exists() else b""
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        yield json.loads(line)


def _settle(account: Account, events: list[dict[str, Any]], line: dict[str, Any]) -> None:
    """What an answer says of each event of its request."""
    if "batch_id" in line:
        account.batches.add(line["batch_id"])
    named = {index: (own, result) for index, own, result in line.get("results", ())}
    refused = {index for index, _ in line.get("errors", ())} if line["status"] == 400 else set()
    refused |= {index for index, (_, result) in named.items() if result == "drop"}
    again = {index for index, (_, result) in named.items() if result == "retry"}
    errors = {index: own for index, own in line.get("errors", ()) if own}
    for index, event in enumerate(events):
        own = named.get(index, ("", ""))[0] or event["id"] or line.get("event_id") or errors.get(index)
        if index in again:
            continue
        if event["valid"] == (index in refused):
            account.odd.append(
                f"event {own} of request {line['answer']} is valid={event['valid']}, told {line['status']}"
            )
        into = account.failed if index in refused else account.counted
        into[own] = Sent(own, event["valid"], event["name"], event["user"], event["true"])
