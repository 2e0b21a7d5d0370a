"""The schemas: what is sent comes from the models that validate it, what is read from the catalogue of fields."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from functions.measure.runs import LATE_SECONDS
from functions.serve.catalogue import FIELDS, Field, Kind
from functions.serve.openapi.parts import Json, ref
from functions.shared.domain.ledger import Account
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
        "status": {
            "enum": ["accepted", "duplicate", "stored", "dropped"],
            "description": "dropped: its person does not consent; it is kept nowhere.",
        },
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
        "stage": {"enum": ["accepted", "queued", "enriched", "stored", "failed", "dead"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "attempt": _COUNT,
        "errors": {"type": "array", "items": ref("Fault")},
        "host": {**_TEXT, "description": "Where the request was taken."},
        "request_id": {**_TEXT, "description": "Its name in the logs."},
        "cause": {**_TEXT, "description": "Why it was given up."},
    }
    moment: Json = {"type": ["string", "null"], "format": "date-time"}
    attempt = {
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "received_at": _TIME,
        "outcome": {"enum": ["stored", "failed", "duplicate", "superseded", "mended", "erased"]},
        "attempt": _COUNT,
        "host": {"type": ["string", "null"]},
        "queued_at": moment,
        "started_at": moment,
        "ended_at": moment,
    }
    given_up = {
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "received_at": _TIME,
        "at": moment,
        "state": _TEXT,
        "cause": _TEXT,
        "attempts": _COUNT,
    }
    always = ["batch_id", "batch_index", "received_at", "outcome", "ended_at"]
    other = {
        "received_at": _TIME,
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "valid": {"type": "boolean"},
        "recorded_at": _TIME,
    }
    trace = {
        "event_id": _UUID,
        "state": {"enum": ["processed", "failed", "pending", "dead"]},
        "batch_id": _UUID,
        "batch_index": _COUNT,
        "key_id": {"type": ["string", "null"]},
        "stages": {"type": "array", "items": an_object("A stage.", stage, ["stage", "at", "attempt"])},
        "duplicates": {"type": "array", "items": an_object("A delivery that does not count.", other)},
        "attempts": {
            "type": "array",
            "items": an_object("An attempt to record a delivery, kept 30 days.", attempt, always),
        },
        "dead_letters": {"type": "array", "items": an_object("A delivery that was given up.", given_up)},
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
    oldest: Json = {
        "type": ["number", "null"],
        "description": "The age of the oldest message that is not settled; null where the broker does not tell.",
    }
    waiting: dict[str, Any] = {**dict.fromkeys(("ready", "in_flight", "dead"), _COUNT), "oldest_seconds": oldest}
    waiting["slow_lane"] = an_object(
        "What is over its key's rate and waits behind all else.",
        {"ready": _COUNT, "in_flight": _COUNT, "oldest_seconds": oldest},
    )
    seconds: Json = {"type": "number"}
    lag: dict[str, Any] = {
        "window_seconds": _COUNT,
        "events": _COUNT,
        "newest_received_at": {"type": ["string", "null"], "format": "date-time"},
        "newest_stored_at": {"type": ["string", "null"], "format": "date-time"},
        "stored_after_seconds": _or_null(an_object("", {"p50": seconds, "p95": seconds, "max": seconds})),
    }
    cost: dict[str, Any] = {
        "events_per_request": seconds,
        "usd_per_million_events": {**seconds, "description": "Gateway, functions, queue and logs; engines left out."},
        "usd_per_month_at_this_rate": seconds,
        "prices_as_of": {"type": "string", "format": "date"},
        "region": _TEXT,
    }
    alert: dict[str, Any] = {
        "rule": _TEXT,
        "tags": {"type": "object", "additionalProperties": _TEXT},
        "severity": {"enum": ["info", "warning", "critical"]},
        "summary": _TEXT,
        "value": {"type": ["number", "null"]},
        "firing_since": _TIME,
    }
    firing = {"firing": {"type": "array", "items": an_object("", alert)}}
    status = {
        "generated_at": _TIME,
        "ledger": _or_null(
            an_object(
                "Events at each stage. received = stored + duplicates; a redelivery by the broker counts as neither.",
                counts,
            )
        ),
        "accounts": _or_null(an_object("The ledger of the last hour.", {"window_seconds": _COUNT, **accounted()})),
        "queue": _or_null(an_object("What waits in the queue, and its dead letters.", waiting)),
        "lag": _or_null(an_object("How long the newest events took from receipt to storage.", lag)),
        "batches": _or_null(_batches()),
        "cost": _or_null(an_object("An estimate of what the events of the last minutes cost on AWS.", cost)),
        "alerts": _or_null(an_object("The alerts that fire.", firing)),
        "unavailable": {
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Parts that are null, and why.",
        },
    }
    return {
        "Health": an_object("The function lives.", {"status": {"const": "ok"}}),
        "Ready": an_object("Whether each engine answers.", ready),
        "Status": an_object("The ledger, the queue, the lag, the last batches and the alerts.", status),
    }


def accounted() -> Json:
    """What became of events, in numbers."""
    dropped: Json = {"type": "object", "additionalProperties": _COUNT}
    return {
        **dict.fromkeys(Account._fields, _COUNT),
        "dropped": {**dropped, "description": "By reason."},
        **dict.fromkeys(("rows", "difference", "untallied"), _COUNT),
        "balanced": {"type": "boolean", "description": "Nothing is in flight, and nothing differs."},
    }


def _batches() -> Json:
    maybe_seconds: Json = {"type": ["integer", "null"]}
    waiting = {"blocks": _COUNT, "events": _COUNT, "oldest_seconds": maybe_seconds}
    run: dict[str, Json] = {
        "run_id": _UUID,
        "kind": {"enum": ["tick", "rebuild"]},
        "state": {"enum": ["running", "done", "unfinished", "failed", "died"]},
        "began_at": _TIME,
        "ended_at": {"type": ["string", "null"], "format": "date-time"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "step_ms": {"type": "object", "additionalProperties": {"type": "number"}},
        "detail": _TEXT,
    }
    batches: dict[str, Json] = {
        "late": {
            "type": "boolean",
            "description": f"Something waits, or no run came to its end, for over {LATE_SECONDS} seconds.",
        },
        "done_seconds_ago": maybe_seconds,
        "waiting": an_object("What was stored and is not computed yet.", waiting),
        "runs": {"type": "array", "items": an_object("A run of the batches.", run)},
    }
    return an_object("What the last batches did, the newest first.", batches)


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}
