"""The operations of serve."""

from functions.serve.openapi.parts import REQUEST_ID, Json, ok, operation, parameter, problems, ref, several, span
from functions.serve.params import DEFAULT_LIMIT, MAX_LIMIT, OPERATORS, STATUSES

_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_RANGE = span("timestamp")
_NAME = several("event_name", "The event's name.", _TEXT)
_INSIDE = """\
Filters on what is inside: `properties.plan=pro`, `context.page.url=…`, `properties.amount[gte]=10`.

A plain value is compared with the text of the stored one, so `7` finds 7 and "7". Operators: `eq`, `ne`, `gt`, `gte`,
`lt`, `lte` (as numbers where both are numbers, else as texts), `contains` (the text holds it), `exists` (`true` or
`false`; null counts as absent). Repeated, any of the values will do; with `ne`, none of them. `ne` also finds events
without the value.
"""
_PAGE_HEADERS = {
    "X-Next-Cursor": {"description": "Where the next page begins.", "schema": _TEXT},
    "X-Has-More": {"description": "Whether there is more now.", "schema": {"type": "boolean"}},
    "Link": {"description": "The next page, rel=next.", "schema": _TEXT},
}
_LIST = """\
Newest first. Each event appears once, however often it was delivered, with its properties exactly as they were sent.

Page by `cursor`, keeping everything else: nothing stored before the first page is skipped or repeated. A page also
ends at 4 MiB. To follow what is being stored, use `order_by=stored_at&order=asc`: `next_cursor` is then given on the
last page as well, to be asked again later.

CSV has one column a field, dotted; objects and lists are JSON text in their cell, and what is absent is empty. Values
are given as they are: a cell may begin with `=`, so open it as text in a spreadsheet.
"""


def paths() -> dict[str, Json]:
    """The read routes."""
    event_id = [parameter("event_id", "The event.", _UUID, "path")]
    batch_id = [parameter("batch_id", "The batch, as its receipt named it.", _UUID, "path")]
    return {
        "/api/v1/events": {"get": _events()},
        "/api/v1/events/{event_id}": {"get": _one("getEvent", "One event, raw and processed", "EventForms", event_id)},
        "/api/v1/events/{event_id}/trace": {"get": _one("traceEvent", "Where an event went", "Trace", event_id)},
        "/api/v1/batches/{batch_id}": {"get": _one("getBatch", "What became of a batch", "BatchState", batch_id)},
        "/api/v1/properties": {"get": _properties()},
        "/api/v1/status": {
            "get": _plain("getStatus", "The ledger, the queue, the lag, the batches and the alerts", "Status")
        },
        "/health": {"get": _plain("getHealth", "Whether the function lives", "Health")},
        "/ready": {"get": _ready()},
        "/openapi.json": {"get": _document()},
        "/docs": {"get": _docs()},
    }


def _events() -> Json:
    text = {"schema": {"type": "string"}}
    other = {"application/x-ndjson": text, "text/csv": text}
    answer = ok("A page of events.", ref("EventPage"), _PAGE_HEADERS, **other)
    return operation(
        "listEvents",
        "Reading",
        "Find events",
        {"200": answer, **problems(400, 429, 503)},
        _LIST,
        parameters=[*_RANGE, *_equal(), _inside(), *_form()],
    )


def _equal() -> list[Json]:
    return [
        several("event_type", "The event's type.", _TEXT),
        _NAME,
        several("platform", "Where it happened.", _TEXT),
        several("session_id", "The client's own session.", _UUID),
        several("user_id", "The user: the UUID, or the id as it was sent.", _TEXT),
        several("anonymous_id", "The device or browser before login.", _TEXT),
        several("event_id", "The event.", _UUID),
        several("status", "Only with source=raw.", {"enum": list(STATUSES)}),
        several("stitched_session_id", "The session that Weir stitched. Of events only that count.", _UUID),
    ]


def _inside() -> Json:
    operators = "|".join(OPERATORS)
    pattern = f"^(properties|context)\\..+?(\\[({operators})\\])?$"
    schema: Json = {
        "type": "object",
        "patternProperties": {pattern: {"type": "array", "items": _TEXT}},
        "additionalProperties": False,
    }
    return parameter("inside", _INSIDE, schema, style="form", explode=True, example={"properties.plan": "pro"})


def _form() -> list[Json]:
    names: Json = {"type": "array", "items": _TEXT}
    limit: Json = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    about = "Only these, comma-separated: a field, a group such as geo, or a path such as properties.plan."
    return [
        parameter("source", "Enriched events, or deliveries as they came.", _words("processed", "raw")),
        parameter("fields", about, names, style="form", explode=False),
        parameter("limit", "Events on a page.", limit),
        parameter("order", "Newest or oldest first.", _words("desc", "asc")),
        parameter("order_by", "By when it happened, or by when it was stored.", _words("timestamp", "stored_at")),
        parameter("cursor", "next_cursor of the page before.", _TEXT),
    ]


def _words(default: str, *others: str) -> Json:
    return {"type": "string", "enum": [default, *others], "default": default}


def _one(name: str, summary: str, schema: str, parameters: list[Json]) -> Json:
    about = "404 while it is still in the broker."
    responses = {"200": ok(summary + ".", ref(schema)), **problems(400, 404, 429, 503)}
    return operation(name, "Reading", summary, responses, about, parameters=parameters)


def _properties() -> Json:
    responses = {"200": ok("Names and types.", ref("Properties")), **problems(400, 429, 503)}
    about = "Looks at the newest events within the range, up to a bound."
    summary = "Names and types of properties, per event name"
    return operation("listProperties", "Reading", summary, responses, about, parameters=[*_RANGE, _NAME])


def _plain(name: str, summary: str, schema: str) -> Json:
    return operation(name, "Operating", summary, {"200": ok(summary + ".", ref(schema)), **problems(503)})


def _ready() -> Json:
    found = _plain("getReady", "Whether each engine answers", "Ready")
    found["responses"]["503"]["content"] = {"application/json": {"schema": ref("Ready")}}
    return found


def _document() -> Json:
    responses = {"200": ok("OpenAPI 3.1.", {"type": "object"})}
    return operation("getOpenapi", "Operating", "This document", responses)


def _docs() -> Json:
    html = {"description": "A page.", "headers": REQUEST_ID, "content": {"text/html": {"schema": _TEXT}}}
    return operation("getDocs", "Operating", "This document for people", {"200": html})
