"""Requests of operators about visitors to calls of the domain, and their results to answers. Free of any framework."""

from collections.abc import Mapping
from typing import Any

import msgspec

from functions.measure.identities import Identities, Merge
from functions.serve import cursor, params
from functions.serve.cursor import Position
from functions.shared.domain import instants
from functions.shared.edge import Answer, Request, as_json
from functions.shared.errors import BadRequest, TooLarge

PATH = "/api/v1/identities/merges"
MAX_BODY_BYTES = 16 * 1024
_NO_STORE = {"Cache-Control": "no-store"}
_FIELDS = ("visitor", "other")
# How a visitor may be told, besides by the name that sessions show.
_KINDS = {"user_id": "u:", "anonymous_id": "a:"}
_KNOWN = ("limit", "cursor")


def merge(identities: Identities, request: Request) -> Answer:
    """``POST /api/v1/identities/merges``"""
    _check(request, ())
    given = _body(request.body)
    found, new = identities.merge(*(_visitor(name, given) for name in _FIELDS))
    headers = {**_NO_STORE, "Location": f"{PATH}/{found.merge_id}"}
    return as_json(201 if new else 200, found._asdict(), headers)


def merges(identities: Identities, request: Request) -> Answer:
    """``GET /api/v1/identities/merges``"""
    _check(request, _KNOWN)
    limit = params.integer("limit", params.one(request.params, "limit", str(params.DEFAULT_LIMIT)), 1, params.MAX_LIMIT)
    token = params.one(request.params, "cursor")
    found = identities.list()
    if token:
        after = cursor.decode(token, "merges")
        found = [one for one in found if _place(one) < after]
    following = cursor.encode(_place(found[limit - 1]), "merges") if len(found) > limit else None
    page = [one._asdict() for one in found[:limit]]
    return as_json(200, {"merges": page, "next_cursor": following, "has_more": following is not None}, _NO_STORE)


def one_merge(identities: Identities, request: Request) -> Answer:
    """``GET /api/v1/identities/merges/{merge_id}``"""
    return as_json(200, identities.get(_merge_id(request))._asdict(), _NO_STORE)


def undo(identities: Identities, request: Request) -> Answer:
    """``DELETE /api/v1/identities/merges/{merge_id}``"""
    return as_json(200, identities.undo(_merge_id(request))._asdict(), _NO_STORE)


def _check(request: Request, known: tuple[str, ...]) -> None:
    params.guard(request.params)
    params.only(request.params, known)


def _merge_id(request: Request) -> str:
    _check(request, ())
    return params.path_uuid(request.path_params, "merge_id")


def _place(one: Merge) -> Position:
    return Position(instants.from_text(one.merged_at), one.merge_id)


def _body(body: bytes) -> Mapping[str, Any]:
    """The body's object, of which every field is known."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge("request_too_large", f"The body is over {MAX_BODY_BYTES} bytes.")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("malformed_json", "The body is not JSON.") from None
    if not isinstance(given, dict):
        raise BadRequest("not_an_object", 'The body is to be an object: {"visitor": "a:…", "other": "u:…"}.')
    for name in given:
        if name not in _FIELDS:
            raise _bad(params.clip(name), "unknown_field", f"is not known.{params.suggestion(name, _FIELDS)}")
    return given


def _visitor(name: str, given: Mapping[str, Any]) -> str:
    """A visitor as sessions name it, from that name, or from an object that names a user or a device."""
    if name not in given:
        raise _bad(name, "required", "is needed: a visitor's name, or its user_id or anonymous_id.")
    value = given[name]
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, text)] = value.items()
        if kind in _KINDS and isinstance(text, str):
            return _KINDS[kind] + text
    raise _bad(name, "wrong_type", 'is to be a text such as "u:ada", or an object with one of user_id, anonymous_id.')


def _bad(name: str, code: str, message: str) -> BadRequest:
    return BadRequest(code, f"{name}: {message}", [{"loc": ["body", name], "code": code, "message": message}])
