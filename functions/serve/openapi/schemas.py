"""The schemas: what is sent comes from the models that validate it, what is read from the catalogue of fields."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from functions.serve.catalogue import FIELDS, Field, Kind
from functions.serve.openapi.parts import Json, ref
from schemas.event import WireEvent

_TIME: Json = {"type": "string", "format": "date-time"}
_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_KINDS: dict[Kind, Json] = {
    "text": _TEXT,
    "optional": {"type": ["string", "null"]},
    "uuid": {"type": ["string", "null"], "format": "uuid"},
    "session": {"type": ["string", "null"], "format": "uuid"},
    "time": {"type": ["string", "null"], "format": "date-time"},
    "document": {"type": "object", "additionalProperties": True},
    "number": {"type": ["number", "null"]},
    "integer": {"type": ["integer", "null"]},
    "boolean": {"type": "boolean"},
    "texts": {"type": "array", "items": _TEXT},
    "errors": {"type": "array", "items": ref("Fault")},
}
_SURE = frozenset({"event_id", "timestamp", "received_at", "processed_at", "batch_id"})


def components() -> dict[str, Json]:
    """Every schema by name."""
    return {
        **_sent(),
        "ProcessedEvent": _tree(FIELDS["processed"], "An event as it was enriched."),
        "RawEvent": _tree(FIELDS["raw"], "The delivery of an event that counts, as it came."),
        **_faults(),
        **_receipts(),
        **_answers(),
        **_operating(),
    }


def an_object(about: str, properties: Json, required: Iterable[str] | None = None) -> Json:
    """An object whose properties are all there, or those that are named."""
    needed = list(properties if required is None else required)
    found: Json = {"type": "object", "description": about, "properties": properties}
    return {**found, "required": needed} if needed else found


def _sent() -> dict[str, Json]:
    found = TypeAdapter(WireEvent).json_schema(ref_template="#/components/schemas/{model}")
    found.pop("$defs", None)
    found["title"], found["description"] = "Event", "One event as it is sent. Unknown fields are kept, with a warning."
    sent_at: Json = {"type": ["string", "number"], "description": "The client's clock when it sent the batch."}
    batch = an_object("A batch.", {"events": {"type": "array", "items": ref("Event")}, "sent_at": sent_at}, ["events"])
    return {"Event": found, "Batch": batch}


def _tree(fields: Iterable[Field], about: str) -> Json:
    """The fields as nested objects. None is required: ``fields=`` chooses."""
    root = an_object(about, {}, [])
    for field in fields:
        *groups, name = field.path.split(".")
        node = root
        for group in groups:
            node = node["properties"].setdefault(group, {"type": "object", "properties": {}})
        node["properties"][name] = _leaf(field)
    return root


def _leaf(field: Field) -> Json:
    schema = {**_KINDS[field.kind]}
    if field.path in _SURE:
        schema["type"] = "string"
    about = field.about if field.shown else f"{field.about} Only when asked for by fields."
    return {**schema, "description": about}


def _faults() -> dict[str, Json]:
    place = {"type": "array", "items": {"type": ["string", "integer"]}, "description": "Where: names and indexes."}
    fault = {"loc": place, "code": {**_TEXT, "description": "Stable."}, "message": _TEXT}
    of_event = {"index": _COUNT, "event_id": {"type": "string"}, **fault}
    problem = {
        "type": {**_TEXT, "description": "urn:weir:problem: and the code."},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {**_TEXT, "description": "Stable."},
        "request_id": _TEXT,
        "errors": {"type": "array", "items": ref("EventFault")},
    }
    required = [name for name in problem if name != "errors"]
    return {
        "Fault": an_object("What is wrong, and where.", fault),
        "EventFault": an_object("What is wrong with which event or parameter.", of_event, fault),
        "Problem": an_object("An error (RFC 9457).", problem, required),
    }


def _receipts() -> dict[str, Json]:
    faults = {"type": "array", "items": ref("Fault")}
    accepted = {
        "event_id": _UUID,
        "status": {"enum": ["accepted", "duplicate", "stored"]},
        "received_at": _TIME,
        "warnings": faults,
        "event": ref("ProcessedEvent"),
    }
    result = {
        "index": _COUNT,
        "event_id": _TEXT,
        "result": {
            "enum": ["ok", "duplicate", "warning", "drop", "retry"],
            "description": "drop: never send it again. retry: send only this one again.",
        },
        "errors": faults,
    }
    receipt = {
        "batch_id": _UUID,
        "received": _COUNT,
        "accepted": _COUNT,
        "rejected": _COUNT,
        "results": {"type": "array", "items": ref("Result"), "description": "Those that are not plain ok."},
    }
    rows = {
        "dry_run": {"const": True},
        "raw": {"type": "array", "items": {"type": "object"}},
        "processed": {"type": "array", "items": {"type": "object"}},
    }
    return {
        "Accepted": an_object("An event that is durably queued.", accepted, list(accepted)[:4]),
        "Result": an_object("What became of one event of a batch.", result),
        "BatchReceipt": an_object("A batch that is durably queued. received = accepted + rejected.", receipt),
        "DryRun": an_object("The rows that would be stored.", rows),
    }


def _answers() -> dict[str, Json]:
    event = {"anyOf": [ref("ProcessedEvent"), ref("RawEvent")]}
    page = {
        "events": {"type": "array", "items": event},
        "next_cursor": {
            "type": ["string", "null"],
            "description": "Where the next page begins. Following what is stored, it is there on the last page too.",
        },
        "has_more": {"type": "boolean"},
    }
    both = {
        "event_id": _UUID,
        "raw": {"anyOf": [ref("RawEvent"), {"type": "null"}]},
        "processed": {"anyOf": [ref("ProcessedEvent"), {"type": "null"}]},
    }
    return {
        "EventPage": an_object("A page of events.", page),
        "EventForms": an_object("An event as it came, and as it was enriched (null when it failed).", both),
        "Trace": _trace(),
        "BatchState": _batch_state(),
        "Properties": _properties(),
    }


def _trace() -> Json:
    stage = {
        "stage": {"enum": ["accepted", "queued", "enriched", "stored", "failed"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "attempt": _COUNT,
        "errors": {"type": "array", "items": ref("Fault")},
    }
    other = {
        "received_at": _TIME,
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "valid": {"type": "boolean"},
        "recorded_at": _TIME,
    }
    trace = {
        "event_id": _UUID,
        "state": {"enum": ["processed", "failed", "pending"]},
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "key_id": {"type": ["string", "null"]},
        "stages": {"type": "array", "items": an_object("A stage.", stage, ["stage", "at", "attempt"])},
        "duplicates": {"type": "array", "items": an_object("A delivery that does not count.", other)},
    }
    return an_object("The way of the delivery that counts, and the other deliveries of the same event.", trace)


def _batch_state() -> Json:
    failure = {"index": _COUNT, "event_id": _TEXT, "errors": {"type": "array", "items": ref("Fault")}}
    state = {
        "batch_id": _UUID,
        "state": {"enum": ["processing", "complete"]},
        "received": _COUNT,
        "stored": _COUNT,
        "failed": _COUNT,
        "duplicates": _COUNT,
        "failures": {"type": "array", "items": an_object("An event that failed.", failure)},
    }
    return an_object("What became of a batch. Complete: received = stored + failed + duplicates.", state)


def _properties() -> Json:
    kinds = ["string", "integer", "number", "boolean", "array", "object"]
    path = {"path": _TEXT, "types": {"type": "array", "items": {"enum": kinds}}, "events": _COUNT}
    name = {
        "event_name": _TEXT,
        "events": _COUNT,
        "properties": {"type": "array", "items": an_object("A path inside properties.", path)},
    }
    found = {
        "event_names": {"type": "array", "items": an_object("What was seen under one event name.", name)},
        "sampled_events": {**_COUNT, "description": "How many events were looked at, the newest first."},
        "complete": {"type": "boolean", "description": "False when there were too many paths to list."},
    }
    return an_object("The names and types of properties.", found)


def _operating() -> dict[str, Json]:
    engine = an_object("", {"status": {"enum": ["ok", "unavailable"]}, "detail": {"type": ["string", "null"]}})
    ready = {"status": {"enum": ["ok", "unavailable"]}, "engines": {"type": "object", "additionalProperties": engine}}
    counts = dict.fromkeys(("received", "stored", "processed", "failed", "duplicates"), _COUNT)
    waiting = dict.fromkeys(("ready", "in_flight", "dead"), _COUNT)
    seconds: Json = {"type": "number"}
    lag: dict[str, Any] = {
        "window_seconds": _COUNT,
        "events": _COUNT,
        "newest_received_at": {"type": ["string", "null"], "format": "date-time"},
        "newest_stored_at": {"type": ["string", "null"], "format": "date-time"},
        "stored_after_seconds": _or_null(an_object("", {"p50": seconds, "p95": seconds, "max": seconds})),
    }
    status = {
        "generated_at": _TIME,
        "ledger": _or_null(
            an_object(
                "Events at each stage. received = stored + duplicates; a redelivery by the broker counts as neither.",
                counts,
            )
        ),
        "queue": _or_null(an_object("What waits in the queue, and its dead letters.", waiting)),
        "lag": _or_null(an_object("How long the newest events took from receipt to storage.", lag)),
        "unavailable": {
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Parts that are null, and why.",
        },
    }
    return {
        "Health": an_object("The function lives.", {"status": {"const": "ok"}}),
        "Ready": an_object("Whether each engine answers.", ready),
        "Status": an_object("The ledger, the queue and the lag.", status),
    }


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}
