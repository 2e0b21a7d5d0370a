"""The routes of serve, and nothing else. Chalice is a thin shell here: each route names its view."""
# ruff: noqa: ARG001  Chalice passes what is in the path; the views read it from the request.

from collections.abc import Callable
from functools import cache
from typing import Any

from chalice.app import Chalice, Response

from functions.measure.erasing.erasures import Erasures
from functions.measure.identities import Identities
from functions.measure.replays.service import ReplayService
from functions.serve import analytics_views, erasures_views, identities_views, replays_views, views
from functions.serve.analytics import AnalyticsService
from functions.serve.answer_cache import Watched
from functions.serve.service import ServeService
from functions.shared.edge import Answer, Request, answering
from functions.shared.gate import Gate
from functions.shared.observe import Observer

app = Chalice(app_name="weir-serve", configure_logs=False)
_BODIES = ["application/json", "text/plain"]


@cache
def service() -> ServeService:
    """The service, made on the first question: /health and /docs need no engine's client."""
    from functions.shared.wiring import serve_service

    return serve_service()


@cache
def analytics() -> AnalyticsService:
    """The service for what the batches computed, made on the first question about it."""
    from functions.shared.wiring import analytics_service

    return analytics_service()


@cache
def identities() -> Identities:
    """What operators say of visitors, made on the first word about it."""
    from functions.shared import wiring

    return wiring.identities()


@cache
def replays() -> ReplayService:
    """What there is to be replayed, made on the first question about it."""
    from functions.shared import wiring

    return wiring.replay_service()


@cache
def erasures() -> Erasures:
    """Who is to be forgotten, made on the first word about it."""
    from functions.shared import wiring

    return wiring.erasures()


def _observer() -> Observer:
    from functions.shared.wiring import observer

    return observer("serve")


def gate() -> Gate:
    """Who lets requests pass."""
    from functions.shared import wiring

    return wiring.gate("serve")


def _route(request: Any) -> str:
    """The route as declared: a path would carry ids into the log."""
    return str((request.context or {}).get("resourcePath") or "") if request else ""


def reply(view: Callable[[Request], Answer]) -> Response:
    """Answer the current request, whatever happens."""
    request = app.current_request
    observer = _observer()
    line = Watched(observer)
    answer = answering(
        line.view(view),
        name=_route(request),
        observe=line.observe,
        report=observer.failure,
        admit=lambda one: gate().admit(one),
    )(request)
    return Response(answer.body, {**answer.headers}, answer.status)


def asking(view: Callable[[ServeService, Request], Answer]) -> Response:
    """Answer the current request by a view that asks the service."""
    return reply(lambda request: view(service(), request))


def computed(view: Callable[[AnalyticsService, Request], Answer]) -> Response:
    """Answer the current request by a view that asks for what the batches computed."""
    return reply(lambda request: view(analytics(), request))


def operating(view: Callable[[Identities, Request], Answer]) -> Response:
    """Answer the current request by a view for operators."""
    return reply(lambda request: view(identities(), request))


def replaying(view: Callable[[ReplayService, Request], Answer]) -> Response:
    """Answer the current request by a view about dead letters and replays."""
    return reply(lambda request: view(replays(), request))


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


@app.route("/api/v1/sessions", methods=["GET"])
def list_sessions() -> Response:
    return computed(analytics_views.sessions)


@app.route("/api/v1/sessions/{session_id}", methods=["GET"])
def get_session(session_id: str) -> Response:
    return computed(analytics_views.session)


@app.route("/api/v1/users/{user_id}/journey", methods=["GET"])
def get_journey(user_id: str) -> Response:
    return computed(analytics_views.journey)


@app.route("/api/v1/funnels", methods=["GET"])
def get_funnel() -> Response:
    return computed(analytics_views.funnels)


@app.route("/api/v1/paths", methods=["GET"])
def list_paths() -> Response:
    return computed(analytics_views.paths)


@app.route("/api/v1/retention", methods=["GET"])
def get_retention() -> Response:
    return computed(analytics_views.retention)


@app.route("/api/v1/metrics", methods=["GET"])
def list_metrics() -> Response:
    return computed(analytics_views.metrics)


@app.route("/api/v1/metrics/{name}", methods=["GET"])
def get_metric(name: str) -> Response:
    return computed(analytics_views.metric)


@app.route("/api/v1/anomalies", methods=["GET"])
def list_anomalies() -> Response:
    return computed(analytics_views.anomalies)


@app.route("/api/v1/identities/merges", methods=["GET"])
def list_merges() -> Response:
    return operating(identities_views.merges)


@app.route("/api/v1/identities/merges", methods=["POST"], content_types=_BODIES)
def make_merge() -> Response:
    return operating(identities_views.merge)


@app.route("/api/v1/identities/merges/{merge_id}", methods=["GET"])
def get_merge(merge_id: str) -> Response:
    return operating(identities_views.one_merge)


@app.route("/api/v1/identities/merges/{merge_id}", methods=["DELETE"])
def undo_merge(merge_id: str) -> Response:
    return operating(identities_views.undo)


@app.route("/api/v1/ledger", methods=["GET"])
def get_ledger() -> Response:
    return asking(views.ledger)


@app.route("/api/v1/dead-letters", methods=["GET"])
def list_dead_letters() -> Response:
    return replaying(replays_views.dead_letters)


@app.route("/api/v1/replays", methods=["GET"])
def list_replays() -> Response:
    return replaying(replays_views.replays)


@app.route("/api/v1/replays", methods=["POST"], content_types=_BODIES)
def make_replay() -> Response:
    return replaying(replays_views.make)


@app.route("/api/v1/replays/{replay_id}", methods=["GET"])
def get_replay(replay_id: str) -> Response:
    return replaying(replays_views.replay)


@app.route("/api/v1/replays/{replay_id}/stop", methods=["POST"], content_types=_BODIES)
def stop_replay(replay_id: str) -> Response:
    return replaying(replays_views.stop)


@app.route("/api/v1/replays/{replay_id}/resume", methods=["POST"], content_types=_BODIES)
def resume_replay(replay_id: str) -> Response:
    return replaying(replays_views.resume)


@app.route("/api/v1/users/{user_id}", methods=["DELETE"])
def erase_user(user_id: str) -> Response:
    return reply(lambda request: erasures_views.erase(erasures(), request))


@app.route("/api/v1/erasures/{erasure_id}", methods=["GET"])
def get_erasure(erasure_id: str) -> Response:
    return reply(lambda request: erasures_views.erasure(erasures(), request))


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
