"""Requests about what the batches computed to service calls, and their results to answers. Free of any framework."""

import msgspec

from functions.measure.metrics.sources import DIMENSIONS
from functions.serve import analytics_params, params
from functions.serve.analytics import AnalyticsService
from functions.serve.answer_cache import AnswerCache
from functions.shared.edge import Answer, Request

_CACHE = AnswerCache()


def sessions(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/sessions``"""
    query = analytics_params.sessions_query(request.params, request.environment)
    return cache.answer(request, service.state_of_data(), lambda: service.sessions(query))


def session(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/sessions/{session_id}``"""
    paging = analytics_params.page_query(request.params)
    session_id = params.path_uuid(request.path_params, "session_id")
    return cache.answer(
        request, service.state_of_data(), lambda: service.session(session_id, paging, request.environment)
    )


def journey(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/users/{user_id}/journey``"""
    paging = analytics_params.page_query(request.params)
    user_id = params.user(request.path_params.get("user_id", ""))
    return cache.answer(request, service.state_of_data(), lambda: service.journey(user_id, paging, request.environment))


def funnels(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/funnels``"""
    query = analytics_params.funnel_query(request.params, request.environment)
    return cache.answer(request, service.state_of_data(), lambda: service.funnel(query))


def paths(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/paths``"""
    query = analytics_params.paths_query(request.params, request.environment)
    return cache.answer(request, service.state_of_data(), lambda: service.paths(query))


def retention(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/retention``"""
    query = analytics_params.retention_query(request.params, request.environment)
    return cache.answer(request, service.state_of_data(), lambda: service.retention(query))


def metrics(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/metrics``"""
    params.guard(request.params)
    params.only(request.params, ())
    found = service.metrics()
    # Another release may measure something else.
    return cache.answer(request, msgspec.json.encode(found).decode(), lambda: found)


def metric(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/metrics/{name}``"""
    name = request.path_params.get("name", "")
    service.metric_named(name)
    query = analytics_params.metric_query(request.params, DIMENSIONS, request.environment)
    return cache.answer(request, service.state_at(query.until), lambda: service.metric(name, query))


def anomalies(service: AnalyticsService, request: Request, cache: AnswerCache = _CACHE) -> Answer:
    """``GET /api/v1/anomalies``"""
    query = analytics_params.anomalies_query(request.params, request.environment)
    return cache.answer(request, service.state_of_anomalies(), lambda: service.anomalies(query))
