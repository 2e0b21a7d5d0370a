"""The operations by which people are erased."""

from functions.measure.identities import LONGEST
from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref, several

_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST}
_COUNT: Json = {"type": ["integer", "null"], "minimum": 0}
_ABOUT = (
    "Removes a person from every table, dead letter and row of both stores, with what their devices sent while they"
    " had them, and from sessions and metrics. From the answer on their events are refused, also those that are"
    " queued or come late. The work is done by the batches, which run every minute; the receipt says how far it came."
    " Asked again, one that is not done is gone on with. It cannot be undone. Scope: admin."
)


def paths() -> dict[str, Json]:
    """The routes."""
    user = parameter("user_id", "The user: the UUID, or the id as it was sent.", _NAME, "path")
    devices = several("anonymous_id", "A device that is to go with them.", _NAME)
    one = parameter("erasure_id", "The erasure, as it was answered.", _UUID, "path")
    place: Json = {"Location": {"description": "The receipt.", "schema": _TEXT}}
    found = {
        "200": ok("The receipt: all is done.", ref("Erasure"), place),
        "202": ok("The receipt so far: it is being worked on.", ref("Erasure"), place),
    }
    return {
        "/api/v1/users/{user_id}": {
            "delete": operation(
                "eraseUser",
                "Operating",
                "Erase a person",
                {**found, **problems(400, 429, 503)},
                _ABOUT,
                parameters=[user, devices],
            )
        },
        "/api/v1/erasures/{erasure_id}": {
            "get": operation(
                "getErasure",
                "Operating",
                "The receipt of an erasure",
                {**found, **problems(400, 404, 429, 503)},
                "It names nobody: `subject` is a hash of the user's id. Scope: admin.",
                parameters=[one],
            )
        },
    }


def schemas() -> dict[str, Json]:
    """Every schema by name."""
    elsewhere = _object("What lies elsewhere, and until when at most.", {"until": _TIME, "about": _TEXT})
    place = _object(
        "Rows of the person in one place, before and after; `after` is null until it is done.",
        {"place": _TEXT, "before": _COUNT, "after": _COUNT},
    )
    receipt: Json = {
        "erasure_id": _UUID,
        "subject": {**_TEXT, "description": "A hash of the user's id."},
        "state": {"enum": ["erasing", "done"]},
        "requested_at": _TIME,
        "finished_at": {"type": ["string", "null"], "format": "date-time"},
        "places": {"type": "array", "items": place},
        "kept": {"type": "array", "items": _TEXT, "description": "What is kept, and why nobody is named by it."},
        "queue": elsewhere,
        "backups": elsewhere,
    }
    return {"Erasure": _object("What became of erasing a person.", receipt)}


def _object(about: str, properties: dict[str, Json]) -> Json:
    return {"type": "object", "description": about, "properties": properties, "required": list(properties)}
