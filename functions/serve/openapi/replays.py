"""The operations about dead letters and replays."""

from functions.measure.replays.listing import STATES
from functions.measure.replays.request import SOURCES
from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref, several, span
from functions.serve.params import DEFAULT_LIMIT, MAX_LIMIT

_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_NULLABLE: Json = {"type": ["string", "null"]}
_TIME: Json = {"type": "string", "format": "date-time"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXTS: Json = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "maxItems": 1000}]}
_MAKE = (
    "`source` says what is brought again: `dead` letters, `failed` events, or `stored` ones, which are enriched anew."
    " All that `filter` says must hold, of several values any. `patch` changes each event before it is read; the bytes"
    " that were sent are kept. With `dry_run` nothing is done: the answer says how many match, and what would become of"
    " the first of them. A replay begins within a minute; it may be stopped and resumed, and done twice it has the same"
    " result."
)
_EXAMPLE: Json = {
    "source": "dead",
    "filter": {"from": "2026-01-31T00:00:00Z", "cause": "RuntimeError", "event_name": "checkout"},
    "patch": [{"op": "drop", "path": "properties.cart"}, {"op": "set", "path": "platform", "value": "web"}],
    "rate_per_second": 2000,
    "dry_run": True,
}


def paths() -> dict[str, Json]:
    """The routes."""
    replay_id = [parameter("replay_id", "The replay, as it was answered.", _UUID, "path")]
    one = {"200": ok("The replay.", ref("Replay")), **problems(400, 404, 429, 503)}
    return {
        "/api/v1/dead-letters": {"get": _letters()},
        "/api/v1/replays": {"get": _list(), "post": _make()},
        "/api/v1/replays/{replay_id}": {
            "get": operation("getReplay", "Operating", "How far a replay came", one, parameters=replay_id)
        },
        "/api/v1/replays/{replay_id}/stop": {
            "post": operation(
                "stopReplay", "Operating", "Send no more of a replay", one, "What is on its way arrives.",
                parameters=replay_id,
            )
        },
        "/api/v1/replays/{replay_id}/resume": {
            "post": operation(
                "resumeReplay", "Operating", "Go on with a replay", one, "From where it stopped.", parameters=replay_id
            )
        },
    }  # fmt: skip


def _page() -> list[Json]:
    limit: Json = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return [parameter("limit", "How many.", limit), parameter("cursor", "next_cursor of the page before.", _TEXT)]


def _letters() -> Json:
    parameters = [
        *span("receipt"),
        parameter("cause", "A part of why it was given up.", _TEXT),
        several("event_name", "The event's name.", _TEXT),
        several("key_id", "The key it was sent with.", _TEXT),
        several("event_id", "The event.", _UUID),
        several("state", "How it stands; without it, all that are not resolved.", {"enum": list(STATES)}),
        *_page(),
    ]
    about = "What the broker gave up after the last try, an event each, with its bytes. The newest receipt first."
    responses = {"200": ok("A page of dead letters.", ref("DeadLetterPage")), **problems(400, 429, 503)}
    return operation("listDeadLetters", "Operating", "Dead letters", responses, about, parameters=parameters)


def _list() -> Json:
    responses = {"200": ok("A page of replays.", ref("ReplayPage")), **problems(400, 429, 503)}
    return operation("listReplays", "Operating", "Replays, the newest first", responses, parameters=_page())


def _make() -> Json:
    place: Json = {"Location": {"description": "The replay.", "schema": _TEXT}}
    content = {"schema": ref("ReplayRequest"), "example": _EXAMPLE}
    responses = {
        "200": ok("What it would do.", ref("ReplayPreview")),
        "201": ok("It is made.", ref("Replay"), place),
        **problems(400, 413, 415, 429, 503),
    }
    body = {"required": True, "content": {"application/json": content, "text/plain": content}}
    return operation("makeReplay", "Operating", "Bring events again", responses, _MAKE, requestBody=body)


def schemas() -> dict[str, Json]:
    """Every schema by name."""
    moment: Json = {"anyOf": [_TEXT, {"type": "number"}]}
    which: Json = {
        "type": "object",
        "additionalProperties": False,
        "description": "Times are of the receipt for dead letters, else of the event's timestamp; half-open.",
        "properties": {
            "from": moment, "to": moment, "cause": _TEXT, "event_name": _TEXTS, "key_id": _TEXTS, "event_ids": _TEXTS,
        },
    }  # fmt: skip
    request: Json = {
        "type": "object",
        "additionalProperties": False,
        "required": ["source"],
        "properties": {
            "source": {"enum": list(SOURCES)},
            "filter": which,
            "patch": {"type": "array", "maxItems": 50, "items": _operation()},
            "rate_per_second": {**_COUNT, "description": "Events; 0 is as fast as it goes."},
            "dry_run": {"type": "boolean"},
        },
    }
    return {
        "ReplayRequest": request,
        "Replay": _object("A replay: what was asked for, and how far it came, in events.", _REPLAY),
        "ReplayPage": _listing("replays", "Replay"),
        "ReplayPreview": _object("What a replay would do.", _PREVIEW),
        "DeadLetter": _object("An event that was given up.", _LETTER),
        "DeadLetterPage": _listing("dead_letters", "DeadLetter"),
    }


def _operation() -> Json:
    path: Json = {**_TEXT, "description": "Dotted; a dot inside a name is written `\\.`."}
    kinds: list[Json] = [
        {"op": {"const": "set"}, "path": path, "value": {}},
        {"op": {"const": "rename"}, "path": path, "to": path},
        {"op": {"const": "drop"}, "path": path},
    ]
    closed: Json = {"type": "object", "additionalProperties": False}
    return {"anyOf": [{**closed, "required": list(kind), "properties": kind} for kind in kinds]}


def _listing(name: str, item: str) -> Json:
    page: Json = {
        name: {"type": "array", "items": ref(item)},
        "next_cursor": _NULLABLE,
        "has_more": {"type": "boolean"},
    }
    return _object("A page.", page)


def _object(about: str, properties: dict[str, Json]) -> Json:
    return {"type": "object", "description": about, "properties": properties, "required": list(properties)}


_REPLAY: dict[str, Json] = {
    "replay_id": _UUID,
    "state": {"enum": ["waiting", "running", "stopped", "settling", "done"]},
    "created_at": _TIME,
    "source": {"enum": list(SOURCES)},
    "filter": {"type": "object"},
    "patch": {"type": "array", "items": {"type": "object"}},
    "rate_per_second": {"type": ["integer", "null"]},
    "matched": {**_COUNT, "description": "As it was made."},
    "sent": _COUNT,
    "stored": _COUNT,
    "failed_again": _COUNT,
    "dead_again": {**_COUNT, "description": "Of those that failed again, the ones that were given up again."},
    "superseded": {**_COUNT, "description": "Of these another delivery counts."},
    "in_flight": _COUNT,
    "remaining": {**_COUNT, "description": "Not sent yet."},
}
_PREVIEW: dict[str, Json] = {
    "dry_run": {"const": True},
    "matched": _COUNT,
    "sample": {
        "type": "array",
        "items": _object(
            "An event before and after the patch, and what would become of it.",
            {
                "event_id": _UUID,
                "before": _TEXT,
                "after": _TEXT,
                "encoding": _NULLABLE,
                "changed": {"type": "boolean"},
                "would": {"enum": ["be stored", "fail"]},
                "errors": {"type": "array", "items": {"type": "object"}},
            },
        ),
    },
}
_LETTER: dict[str, Json] = {
    "dead_id": _UUID,
    "event_id": _UUID,
    "batch_id": _UUID,
    "batch_index": _COUNT,
    "key_id": _NULLABLE,
    "platform": _TEXT,
    "event_type": _TEXT,
    "event_name": _TEXT,
    "received_at": _TIME,
    "queued_at": _TIME,
    "dead_at": _TIME,
    "stage": {"const": "enrich"},
    "state": {
        "enum": list(STATES),
        "description": "`replaying`: a replay has it in hand. `failed`: it is a failed event now. `resolved`: stored.",
    },
    "cause": {**_TEXT, "description": "Why it was given up, or why it failed again."},
    "attempts": {**_COUNT, "description": "All tries so far."},
    "deaths": {**_COUNT, "description": "How often it was given up."},
    "replay_id": {**_NULLABLE, "description": "The last replay that had it."},
    "changed_at": {**_TIME, "description": "When it came to its state."},
    "raw_data": {**_TEXT, "description": "The bytes that were sent."},
    "raw_encoding": {**_NULLABLE, "description": "base64 when they are not UTF-8."},
    "readable": {"type": "boolean", "description": "False for a whole message that nobody could read."},
}
