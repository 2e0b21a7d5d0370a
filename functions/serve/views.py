"""Requests to service calls, and their results to answers. Free of any framework."""

from collections.abc import Callable

from functions.serve import accounts, docs_page, formats, params
from functions.serve.ledger_sql import Sample
from functions.serve.params import Params
from functions.serve.service import ServeService
from functions.serve.shapes import Shape
from functions.shared.edge import JSON, Answer, Request, as_json
from functions.shared.errors import WeirError
from functions.shared.ports import Probe

_NO_STORE = {"Cache-Control": "no-store"}


def events(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/events``"""
    query = params.events_query(request.params, request.environment)
    media = formats.media_of(request.header("accept"))
    shape = Shape(query.source, query.fields)
    page = service.events(query, media, shape)
    return formats.answer(media, page, shape, request.path, request.params)


def event(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/events/{event_id}``"""
    event_id = _identity(request, "event_id")
    return Answer(200, service.event(event_id, request.environment).decode(), {"Content-Type": JSON})


def trace(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/events/{event_id}/trace``"""
    return as_json(200, service.trace(_identity(request, "event_id"), request.environment))


def batch(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/batches/{batch_id}``"""
    return as_json(200, service.batch(_identity(request, "batch_id"), request.environment))


def properties(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/properties``"""
    known = ("from", "to", "event_name")
    _check(request.params, known)
    since, until = params.time_range(request.params)
    asked = Sample(since, until, tuple(request.params.get("event_name", ())), request.environment)
    return as_json(200, service.properties(asked))


def ledger(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/ledger``"""
    asked = accounts.query(request.params, request.environment, service.now())
    return as_json(200, service.ledger(asked), _NO_STORE)


def status(service: ServeService, request: Request) -> Answer:
    """``GET /api/v1/status``"""
    _check(request.params, ())
    return as_json(200, service.status(request.environment), _NO_STORE)


def ready(service: ServeService, _: Request) -> Answer:
    """``GET /ready``"""
    ok, body = service.ready()
    return as_json(200, body, _NO_STORE) if ok else as_json(503, body, {**_NO_STORE, "Retry-After": "2"})


def health(_: Request) -> Answer:
    """``GET /health``: the function lives. It asks no engine, so it needs no service."""
    return as_json(200, {"status": "ok"}, _NO_STORE)


def openapi_document(_: Request) -> Answer:
    """``GET /openapi.json``"""
    # Imported here: few ask for it, and each cold start would make it.
    from functions.serve import openapi

    return Answer(200, openapi.text(), {"Content-Type": JSON, "Access-Control-Allow-Origin": "*"})


def docs(_: Request) -> Answer:
    """``GET /docs``"""
    return Answer(200, docs_page.html(), {"Content-Type": "text/html; charset=utf-8"})


def probing(name: str, call: Callable[[], object]) -> Callable[[], Probe]:
    """A probe that is ok when ``call`` returns, and says why not when it raises one of our errors."""

    def probe() -> Probe:
        try:
            call()
        except WeirError as error:
            return Probe(name, "unavailable", str(error))
        return Probe(name, "ok", "")

    return probe


def _check(given: Params, known: tuple[str, ...]) -> None:
    params.guard(given)
    params.only(given, known)


def _identity(request: Request, name: str) -> str:
    _check(request.params, ())
    return params.path_uuid(request.path_params, name)
