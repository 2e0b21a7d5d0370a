"""Small pieces that operations are put together from."""

from typing import Any

Json = dict[str, Any]

REQUEST_ID = {"X-Request-Id": {"description": "Names this request in the logs.", "schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_ERRORS = {
    400: "Never send this again as it is; the problem says what is wrong.",
    401: "There is no key, or it is not one that is taken.",
    403: "The key may not do this.",
    404: "There is no such thing, or not yet.",
    413: "Over a limit; the problem says which.",
    415: "A media type that is not known.",
    422: "Stored, and found bad by processing.",
    429: "Too many requests: send the same again later.",
    503: "Send the same again later.",
}
_LATER = frozenset({429, 503})
_INSTANT: Json = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}, {"type": "number"}]
}
_FORMS = "RFC 3339, a date, or epoch milliseconds from 1e11 up, else seconds."


def ref(name: str) -> Json:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, about: str, schema: Json, where: str = "query", **more: Any) -> Json:
    """A parameter. In a path it is required."""
    found: Json = {"name": name, "in": where, "description": about, "schema": schema, **more}
    return {**found, "required": True} if where == "path" else found


def span(what: str) -> list[Json]:
    """The half-open range of ``what``: ``from`` and ``to``."""
    return [
        parameter("from", f"The earliest {what}, included. {_FORMS}", _INSTANT),
        parameter("to", f"The {what} before which the range ends, itself excluded. {_FORMS}", _INSTANT),
    ]


def several(name: str, about: str, items: Json) -> Json:
    """A parameter that may be repeated: any of its values."""
    return parameter(
        name, f"{about} Repeat it for any of several.", {"type": "array", "items": items}, style="form", explode=True
    )


def ok(about: str, schema: Json, headers: Json | None = None, **other_media: Json) -> Json:
    """A JSON answer that is no error."""
    content = {"application/json": {"schema": schema}, **other_media}
    return {"description": about, "headers": {**REQUEST_ID, **(headers or {})}, "content": content}


def problems(*statuses: int) -> Json:
    """The error answers of an operation."""
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> Json:
    headers = {**REQUEST_ID, **_RETRY_AFTER} if status in _LATER else REQUEST_ID
    content = {"application/problem+json": {"schema": ref("Problem")}}
    return {"description": _ERRORS[status], "headers": headers, "content": content}


def operation(name: str, tag: str, summary: str, responses: Json, about: str = "", **more: Any) -> Json:
    """One operation."""
    found: Json = {"operationId": name, "tags": [tag], "summary": summary}
    if about:
        found["description"] = about
    return {**found, **more, "responses": responses}
