"""From queue records, in the shape SQS gives them, to one call of the service and back."""

from collections.abc import Mapping
from typing import Any

from functions.enrich.service import Incoming
from functions.shared.edge import reporting, settling
from functions.shared.wiring import enrich_service, observer

_MILLISECOND = 1_000_000


def answer(event: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """Record the messages and name those to deliver again; with ``dry_run``, only show their rows."""
    messages = [_incoming(place, record) for place, record in enumerate(event.get("Records", ()))]
    if event.get("dry_run"):
        return reporting(lambda: enrich_service().preview(messages), "dry run", observer("enrich").failure)

    def handle() -> Mapping[str, str]:
        done = enrich_service().handle(messages)
        step_ms = {name: round(spent / _MILLISECOND, 3) for name, spent in done.step_ns.items()}
        observer("enrich").invocation("enrich", request_id, done.counts, step_ms)
        return done.again

    return settling([message.id for message in messages], handle, observer("enrich").failure)


def _incoming(place: int, record: Mapping[str, Any]) -> Incoming:
    attributes = record.get("attributes") or {}
    return Incoming(
        id=str(record.get("messageId", place)),
        body=str(record.get("body", "")).encode("utf-8", "surrogatepass"),
        queued_at=int(attributes.get("SentTimestamp", 0)) * _MILLISECOND,
        attempt=int(attributes.get("ApproximateReceiveCount", 1)),
    )
