"""Requests about dead letters and replays to calls of the domain, and their results to answers."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from functions.measure.replays import listing
from functions.measure.replays.request import MAX_VALUES, Filter, Request, bad
from functions.measure.replays.service import ReplayService
from functions.serve import cursor, formats, params
from functions.serve.cursor import Position
from functions.shared.domain import ids, instants
from functions.shared.edge import Answer, as_json
from functions.shared.edge import Request as HttpRequest
from functions.shared.errors import BadRequest, TooLarge
from schemas import patch

PATH = "/api/v1/replays"
MAX_BODY_BYTES = 256 * 1024
MAX_RATE = 1_000_000
_NO_STORE = {"Cache-Control": "no-store"}
_PAGING = ("limit", "cursor")
_FILTERS = ("from", "to", "cause", "event_name", "key_id", "event_id")
_Texts = str | list[str]


class _Filter(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    since: str | int | float | None = None
    until: str | int | float | None = None
    cause: str = ""
    event_name: _Texts = ""
    key_id: _Texts = ""
    event_ids: _Texts = ""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    source: Literal["dead", "failed", "stored"]
    filter: _Filter = msgspec.field(default_factory=_Filter)
    patch: msgspec.Raw = msgspec.Raw(b"[]")
    rate_per_second: int = 0
    dry_run: bool = False


_BODY = msgspec.json.Decoder(_Body)


def dead_letters(service: ReplayService, request: HttpRequest) -> Answer:
    """``GET /api/v1/dead-letters``"""
    _check(request, (*_FILTERS, "state", *_PAGING))
    asked = _Asked(request.params)
    states = [params.choice("state", one, listing.STATES) for one in request.params.get("state", listing.OPEN)]
    bound = msgspec.json.encode([asked.filter, sorted(set(states)), request.environment]).decode()
    before = cursor.decode(asked.cursor, bound) if asked.cursor else None
    place = listing.Place(before.at, before.event_id) if before else None
    shown: list[dict[str, Any]] = []
    last, size = None, 0
    for at, letter in service.letters(asked.filter, states, asked.limit + 1, place, request.environment):
        size += formats.transport_size(msgspec.json.encode(letter)) + 1
        if len(shown) == asked.limit or (shown and size > formats.TRANSPORT_BYTES):
            return _letters(shown, cursor.encode(last, bound) if last else None)
        shown.append(letter)
        last = Position(*at)
    return _letters(shown, None)


def replays(service: ReplayService, request: HttpRequest) -> Answer:
    """``GET /api/v1/replays``"""
    _check(request, _PAGING)
    asked = _Asked(request.params)
    before = cursor.decode(asked.cursor, "replays").at if asked.cursor else None
    page = service.page(asked.limit, before)
    last = page.replays[-1] if page.more else None
    following = cursor.encode(Position(last["generation"], last["replay_id"]), "replays") if last else None
    shown = [{name: value for name, value in one.items() if name != "generation"} for one in page.replays]
    return as_json(200, {"replays": shown, "next_cursor": following, "has_more": page.more}, _NO_STORE)


def make(service: ReplayService, request: HttpRequest) -> Answer:
    """``POST /api/v1/replays``"""
    _check(request, ())
    asked, dry_run = read(request.body)
    if dry_run:
        return as_json(200, service.preview(asked), _NO_STORE)
    return _one(service.create(asked), 201)


def replay(service: ReplayService, request: HttpRequest) -> Answer:
    """``GET /api/v1/replays/{replay_id}``"""
    return _named(service.get, request)


def stop(service: ReplayService, request: HttpRequest) -> Answer:
    """``POST /api/v1/replays/{replay_id}/stop``"""
    return _named(service.stop, request)


def resume(service: ReplayService, request: HttpRequest) -> Answer:
    """``POST /api/v1/replays/{replay_id}/resume``"""
    return _named(service.resume, request)


def read(body: bytes) -> tuple[Request, bool]:
    """A replay as a body asks for it, and whether it is only tried out. Raises :class:`BadRequest`."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge("request_too_large", f"The body is over {MAX_BODY_BYTES} bytes.")
    try:
        given = _BODY.decode(body)
        operations = patch.read(bytes(given.patch))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise bad(path.rstrip("`") or "body", f"{message}.", "bad_field") from None
    except patch.PatchError as error:
        raise bad("patch", str(error), "bad_patch") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("malformed_json", "The body is not JSON.") from None
    if not 0 <= given.rate_per_second <= MAX_RATE:
        raise bad("rate_per_second", f"is a number from 1 to {MAX_RATE}, or 0 for as fast as it goes.")
    return Request(given.source, _filter(given.filter), operations, given.rate_per_second), given.dry_run


class _Asked:
    """The parameters of a page."""

    def __init__(self, given: params.Params) -> None:
        limit = params.one(given, "limit", str(params.DEFAULT_LIMIT))
        self.limit = params.integer("limit", limit, 1, params.MAX_LIMIT)
        self.cursor = params.one(given, "cursor")
        since, until = params.time_range(given)
        self.filter = Filter(
            since=since,
            until=until,
            cause=params.one(given, "cause"),
            event_names=sorted(set(given.get("event_name", ()))),
            key_ids=sorted(set(given.get("key_id", ()))),
            event_ids=sorted({params.uuid("event_id", one) for one in given.get("event_id", ())}),
        )


def _filter(given: _Filter) -> Filter:
    event_ids = _texts("filter.event_ids", given.event_ids)
    for one in event_ids:
        if not ids.is_uuid(one):
            raise bad("filter.event_ids", f"{params.clip(one)} is not a UUID.", "bad_uuid")
    return Filter(
        since=_moment("filter.from", given.since),
        until=_moment("filter.to", given.until),
        cause=given.cause,
        event_names=_texts("filter.event_name", given.event_name),
        key_ids=_texts("filter.key_id", given.key_id),
        event_ids=[one.lower() for one in event_ids],
    )


def _moment(name: str, given: str | float | None) -> int | None:
    if given is None:
        return None
    try:
        return params.instant(name, given) if isinstance(given, str) else instants.from_wire(given)
    except (BadRequest, ValueError, OverflowError):
        raise bad(
            name, f"{params.clip(str(given))} is not a time such as 2026-01-31T12:00:00Z.", "bad_timestamp"
        ) from None


def _texts(name: str, given: _Texts) -> list[str]:
    values = ([given] if given else []) if isinstance(given, str) else given
    if len(values) > MAX_VALUES or "" in values:
        raise bad(name, f"is a text, or a list of up to {MAX_VALUES} of them, none empty.")
    return sorted(set(values))


def _letters(shown: list[dict[str, Any]], following: str | None) -> Answer:
    body = {"dead_letters": shown, "next_cursor": following, "has_more": following is not None}
    return as_json(200, body, _NO_STORE)


def _named(act: Callable[[str], Mapping[str, Any]], request: HttpRequest) -> Answer:
    _check(request, ())
    return _one(act(params.path_uuid(request.path_params, "replay_id")), 200)


def _one(found: Mapping[str, Any], status: int) -> Answer:
    shown = {name: value for name, value in found.items() if name != "generation"}
    return as_json(status, shown, {**_NO_STORE, "Location": f"{PATH}/{found['replay_id']}"})


def _check(request: HttpRequest, known: tuple[str, ...]) -> None:
    params.guard(request.params)
    params.only(request.params, known)
