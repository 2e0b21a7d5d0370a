"""The operations of collect."""

from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref

_GZIP = " A gzip body is known by its first bytes, whatever the headers claim."
_IDEMPOTENCY = parameter(
    "Idempotency-Key",
    "Makes the ids of events that have none, so that a resend with the same key is recognised.",
    {"type": "string"},
    "header",
)
_DRY_RUN = parameter(
    "dry_run", "Answer the rows that would be stored, and store nothing.", {"type": "boolean", "default": False}
)
_WAIT = parameter("wait", "Wait until the event can be read, up to 10 seconds.", {"enum": ["stored"]})
_RESULTS = parameter("results", "List the plain ok results as well.", {"enum": ["all"]})
_EVENT = {
    "event_type": "purchase",
    "event_name": "checkout completed",
    "platform": "web",
    "user_id": "ada@example.com",
    "properties": {"amount": 49.9, "plan": "pro"},
}


def paths() -> dict[str, Json]:
    """The write routes."""
    return {"/api/v1/events": {"post": _single()}, "/api/v1/events/batch": {"post": _batch()}}


def _single() -> Json:
    content = {"schema": ref("Event"), "example": _EVENT}
    return operation(
        "sendEvent",
        "Writing",
        "Send one event",
        {
            "200": ok("A dry run: nothing was stored.", ref("DryRun")),
            "201": ok("Stored, and can be read (wait=stored).", ref("Accepted")),
            "202": ok("Durably queued.", ref("Accepted")),
            **problems(400, 413, 415, 422, 429, 503),
        },
        f"Answers only after the broker has it durably.{_GZIP}",
        parameters=[_WAIT, _DRY_RUN, _IDEMPOTENCY],
        requestBody={"required": True, "content": {"application/json": content, "text/plain": content}},
    )


def _batch() -> Json:
    batch = {"anyOf": [ref("Batch"), {"type": "array", "items": ref("Event")}]}
    content = {"schema": batch, "example": {"events": [_EVENT], "sent_at": "2026-01-31T12:00:00Z"}}
    lines = {"schema": {"type": "string", "description": "One event a line."}}
    rejected = problems(400)["400"]
    rejected["description"] = "Not one event could be accepted; or the body cannot be read."
    rejected["content"]["application/json"] = {"schema": ref("BatchReceipt")}
    return operation(
        "sendBatch",
        "Writing",
        "Send many events",
        {
            "200": ok("A dry run: nothing was stored.", ref("DryRun")),
            "202": ok("Durably queued. One bad event never costs its neighbours.", ref("BatchReceipt")),
            "400": rejected,
            **problems(413, 415, 429, 503),
        },
        f"An object with events, a bare array, or one event a line. Up to 5,000 events and 4 MiB.{_GZIP}",
        parameters=[_WAIT, _DRY_RUN, _RESULTS, _IDEMPOTENCY],
        requestBody={
            "required": True,
            "content": {"application/json": content, "text/plain": content, "application/x-ndjson": lines},
        },
    )
