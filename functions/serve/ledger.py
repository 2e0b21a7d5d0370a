"""What the ledger's rows mean: traces, batches, and the types of properties. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from functions.serve.statement import Row
from functions.shared.domain import instants

_NUMBERS = ("Int", "UInt", "Float", "Decimal")


def trace(event_id: str, row: Row, deliveries: Sequence[Row]) -> dict[str, Any]:
    """The stages of the delivery that counts, in order, and the other deliveries of the same event."""
    received, queued, processed, stored, attempt, status, errors, batch_id, batch_index, digest, key_id = row
    last: dict[str, Any] = {"stage": "failed" if status == "failed" else "stored", "at": at(stored), "attempt": attempt}
    if status == "failed":
        last["errors"] = faults(errors)
    return {
        "event_id": event_id,
        "state": status,
        "batch_id": batch_id,
        "batch_index": batch_index,
        "key_id": key_id or None,
        "stages": [
            {"stage": "accepted", "at": at(received), "attempt": 1},
            {"stage": "queued", "at": at(queued or received), "attempt": 1},
            {"stage": "enriched", "at": at(processed), "attempt": attempt},
            last,
        ],
        "duplicates": [
            _delivery(other) for other in deliveries if tuple(other[:4]) != (received, digest, batch_id, batch_index)
        ],
    }


def _delivery(row: Row) -> dict[str, Any]:
    received, _, batch_id, batch_index, failed, recorded = row
    return {
        "received_at": at(received),
        "batch_id": batch_id,
        "batch_index": batch_index,
        "valid": not failed,
        "recorded_at": at(recorded),
    }


def batch(batch_id: str, arrived: Sequence[Row], counted: Sequence[Row], elsewhere: set[str]) -> dict[str, Any]:
    """What became of a batch. ``elsewhere`` are its events that count by a delivery of another batch or place."""
    places = {row[0]: row[1] for row in arrived} | {row[0]: row[1] for row in counted}
    failures = [row for row in counted if row[2] == "failed"]
    own = {row[0] for row in counted}
    duplicates = sum(1 for index, event_id in places.items() if index not in own and event_id in elsewhere)
    received = max([row[4] for row in counted] + [index + 1 for index in places])
    settled = len(counted) + duplicates
    return {
        "batch_id": batch_id,
        "state": "complete" if settled >= received else "processing",
        "received": received,
        "stored": len(counted) - len(failures),
        "failed": len(failures),
        "duplicates": duplicates,
        "failures": [{"index": row[0], "event_id": row[1], "errors": faults(row[3])} for row in failures],
    }


def missing(arrived: Iterable[Row], counted: Iterable[Row]) -> list[str]:
    """The events of a batch that do not count by a delivery of this batch at this place."""
    own = {(row[0], row[1]) for row in counted}
    return sorted({row[1] for row in arrived if (row[0], row[1]) not in own})


def properties(names: Sequence[Row], paths: Sequence[Row]) -> list[dict[str, Any]]:
    """Per event name, the paths seen: JSON's names for their types, and how many events held each."""
    found: dict[str, dict[str, dict[str, Any]]] = {row[0]: {} for row in names}
    for name, path, kind, count in paths:
        entry = found.setdefault(name, {}).setdefault(path, {"path": path, "types": [], "events": 0})
        if json_type(kind) not in entry["types"]:
            entry["types"].append(json_type(kind))
        entry["events"] += count
    totals = {row[0]: row[1] for row in names}
    return [
        {"event_name": name, "events": totals.get(name, 0), "properties": list(entries.values())}
        for name, entries in found.items()
    ]


def json_type(kind: str) -> str:
    """JSON's name for a ClickHouse type."""
    if kind == "String":
        return "string"
    if kind == "Bool":
        return "boolean"
    if kind.startswith(("Int", "UInt")):
        return "integer"
    return "number" if kind.startswith(_NUMBERS) else "array" if kind.startswith("Array") else "object"


def alert(row: Row) -> dict[str, Any]:
    """An alert that fires."""
    rule, tags, severity, summary, value, fired_at = row
    return {
        "rule": rule,
        "tags": msgspec.json.decode(tags),
        "severity": severity,
        "summary": summary,
        "value": value,
        "firing_since": at(fired_at),
    }


def faults(text: str) -> Any:
    """An event's stored faults as a list; a text that is none is the store's own reason."""
    if not text:
        return []
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return [{"loc": [], "code": "store_refused", "message": text}]


def at(nanoseconds: int | None) -> str | None:
    """An instant as text; none for the zero that stands for "not known"."""
    return instants.to_text(nanoseconds) if nanoseconds else None
