"""The routes of serve, and nothing else. Chalice is a thin shell here: each route names its view."""
# ruff: noqa: ARG001  Chalice passes what is in the path; the views read it from the request.

from collections.abc import Callable
from functools import cache
from typing import Any

from chalice.app import Chalice, Response

from functions.serve import views
from functions.serve.service import ServeService
from functions.shared.edge import Answer, Request, answering
from functions.shared.observe import Observer

app = Chalice(app_name="weir-serve", configure_logs=False)


@cache
def service() -> ServeService:
    """The service, made on the first question: /health and /docs need no engine's client."""
    from functions.shared.wiring import serve_service

    return serve_service()


def _observer() -> Observer:
    from functions.shared.wiring import observer

    return observer("serve")


def _route(request: Any) -> str:
    """The route as declared: a path would carry ids into the log."""
    return str((request.context or {}).get("resourcePath") or "") if request else ""


def reply(view: Callable[[Request], Answer]) -> Response:
    """Answer the current request, whatever happens."""
    request = app.current_request
    watched = _observer()
    answer = answering(view, name=_route(request), observe=watched.request, report=watched.failure)(request)
    return Response(answer.body, {**answer.headers}, answer.status)


def asking(view: Callable[[ServeService, Request], Answer]) -> Response:
    """Answer the current request by a view that asks the service."""
    return reply(lambda request: view(service(), request))


@app.route("/api/v1/events", methods=["GET"])
def list_events() -> Response:
    return asking(views.events)


@app.route("/api/v1/events/{event_id}", methods=["GET"])
def get_event(event_id: str) -> Response:
    return asking(views.event)


@app.route("/api/v1/events/{event_id}/trace", methods=["GET"])
def trace_event(event_id: str) -> Response:
    return asking(views.trace)


@app.route("/api/v1/batches/{batch_id}", methods=["GET"])
def get_batch(batch_id: str) -> Response:
    return asking(views.batch)


@app.route("/api/v1/properties", methods=["GET"])
def list_properties() -> Response:
    return asking(views.properties)


@app.route("/api/v1/status", methods=["GET"])
def get_status() -> Response:
    return asking(views.status)


@app.route("/ready", methods=["GET"])
def get_ready() -> Response:
    return asking(views.ready)


@app.route("/health", methods=["GET"])
def get_health() -> Response:
    return reply(views.health)


@app.route("/openapi.json", methods=["GET"])
def get_openapi() -> Response:
    return reply(views.openapi_document)


@app.route("/docs", methods=["GET"])
def get_docs() -> Response:
    return reply(views.docs)
