"""The operations by which operators say which visitors are one."""

from functions.measure.identities import LONGEST
from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref
from functions.serve.params import DEFAULT_LIMIT, MAX_LIMIT

_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST}
_FOLLOWS = "Sessions and metrics follow with the next batch, which runs every minute: until then `state` is `pending`."
_MERGE = (
    "Says that two visitors are one, whose sessions are to be stitched together. A visitor is named as sessions name"
    " it, where a user may also go by the id as it was sent (`u:ada@example.com`); or by `user_id` or `anonymous_id`."
    f" Those who are one go by the name of a user, where one of them is. {_FOLLOWS}"
    " Said again, whoever is named first, it changes nothing: 200 with what stands."
)
_UNDO = f"Leaves everything as if it had never been said. {_FOLLOWS} Undone again, it changes nothing."
_EXAMPLE: Json = {"visitor": {"anonymous_id": "phone-7"}, "other": {"user_id": "ada@example.com"}}


def paths() -> dict[str, Json]:
    """The routes."""
    merge_id = [parameter("merge_id", "The merge, as it was answered.", _UUID, "path")]
    return {
        "/api/v1/identities/merges": {"get": _list(), "post": _make()},
        "/api/v1/identities/merges/{merge_id}": {
            "get": _one("getMerge", "One merge", "", merge_id),
            "delete": _one("undoMerge", "Take a merge back", _UNDO, merge_id),
        },
    }


def _list() -> Json:
    limit: Json = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    page = [parameter("limit", "How many.", limit), parameter("cursor", "next_cursor of the page before.", _TEXT)]
    responses = {"200": ok("A page of merges.", ref("MergePage")), **problems(400, 429, 503)}
    about = "Also those that were undone."
    return operation(
        "listMerges", "Operating", "Merges of visitors, the newest first", responses, about, parameters=page
    )


def _make() -> Json:
    place: Json = {"Location": {"description": "The merge.", "schema": _TEXT}}
    content = {"schema": ref("VisitorPair"), "example": _EXAMPLE}
    return operation(
        "mergeVisitors",
        "Operating",
        "Say that two visitors are one",
        {
            "200": ok("It stood already.", ref("Merge"), place),
            "201": ok("It stands from now on.", ref("Merge"), place),
            **problems(400, 413, 415, 429, 503),
        },
        _MERGE,
        requestBody={"required": True, "content": {"application/json": content, "text/plain": content}},
    )


def _one(name: str, summary: str, about: str, parameters: list[Json]) -> Json:
    responses = {"200": ok("The merge.", ref("Merge")), **problems(400, 404, 429, 503)}
    return operation(name, "Operating", summary, responses, about, parameters=parameters)


def schemas() -> dict[str, Json]:
    """Every schema by name."""
    by_user = _object("A user: the UUID, or the id as it was sent.", {"user_id": _NAME})
    by_device = _object("A device.", {"anonymous_id": _NAME})
    named = {**_TEXT, "pattern": "^[uasf]:.", "description": "As sessions name it."}
    visitor: Json = {"anyOf": [named, *({**one, "additionalProperties": False} for one in (by_user, by_device))]}
    pair = _object("Two visitors who are one.", {"visitor": visitor, "other": visitor})
    merge = {
        "merge_id": _UUID,
        "visitor": _TEXT,
        "other": _TEXT,
        "merged_at": {"type": "string", "format": "date-time"},
        "undone": {"type": "boolean"},
        "state": {"enum": ["pending", "applied"], "description": "Whether sessions follow it, or its undoing, by now."},
    }
    page: Json = {
        "merges": {"type": "array", "items": ref("Merge")},
        "next_cursor": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
    }
    return {
        "VisitorPair": {**pair, "additionalProperties": False},
        "Merge": _object("That two visitors are one.", merge),
        "MergePage": _object("A page of merges.", page),
    }


def _object(about: str, properties: dict[str, Json]) -> Json:
    return {"type": "object", "description": about, "properties": properties, "required": list(properties)}
