"""The handlers of enrich, and nothing else: one is given the queue's messages, the other goes and takes them."""

from typing import Any

from functions.enrich import records, schedule


def enrich(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"batchItemFailures": […]}`` for queue records, of SQS or NATS; the rows themselves for a dry run."""
    return records.answer(event, str(getattr(context, "aws_request_id", "")))


def drain(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  a tick tells nothing
    """Take what waits in the queue; says what was done."""
    return schedule.answer(context)
