"""The queue handler of enrich, and nothing else. The same for SQS, for NATS, and for a dry run."""

from typing import Any

from functions.enrich.records import answer


def enrich(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"batchItemFailures": […]}`` for queue records; the rows themselves for a dry run."""
    return answer(event, str(getattr(context, "aws_request_id", "")))
