"""From a request to one call of the service, and from its outcome to an answer."""

from time import perf_counter
from typing import Any

from functions.collect.request import CollectRequest
from functions.collect.service import CollectService, Outcome
from functions.shared.domain import consent, rates
from functions.shared.edge import PROBLEM, PROBLEM_TYPE, Answer, Request, answering, as_json, outcome_counts
from functions.shared.errors import BadRequest
from functions.shared.wiring import collect_service, gate, observer

_PARAMETERS = {"event": {"wait", "dry_run", "key"}, "batch": {"wait", "dry_run", "key", "results"}}


def collect(source: Any, operation: str) -> Answer:
    """Answer one write, and write its log line. ``operation`` is ``event`` or ``batch``."""
    started = perf_counter()
    counts: dict[str, int] = {}

    def handle(request: Request) -> Answer:
        outcome = _call(collect_service(), request, operation)
        counts.update(outcome.counts)
        return _answer(outcome, request)

    answer = answering(
        handle, name=operation, report=observer("collect").failure, admit=lambda request: gate("collect").admit(request)
    )(source)
    counts |= outcome_counts(answer.status)
    spent = {"handle": round((perf_counter() - started) * 1000, 3)}
    request_id = answer.headers["X-Request-Id"]
    observer("collect").invocation(operation, request_id, counts, spent, answer.status, answer.refused_key)
    return answer


def _call(service: CollectService, request: Request, operation: str) -> Outcome:
    unknown = sorted(request.params.keys() - _PARAMETERS[operation])
    if unknown:
        raise BadRequest("unknown_parameter", f"There is no parameter {unknown[0][:80]!r} here.")
    taken = CollectRequest(
        body=request.body,
        content_type=request.header("content-type"),
        idempotency_key=request.header("idempotency-key"),
        key=request.key,
        ip=_client_ip(request),
        user_agent=request.header("user-agent"),
        request_id=request.request_id,
        signal=consent.signal(request.header("dnt"), request.header("sec-gpc")),
    )
    dry_run, wait = request.flag("dry_run"), _wants_wait(request)
    if operation == "event":
        return service.single(taken, dry_run=dry_run, wait=wait)
    return service.batch(taken, dry_run=dry_run, wait=wait, all_results=_wants_all(request))


def _answer(outcome: Outcome, request: Request) -> Answer:
    left = rates.headers((*request.allowances, *outcome.allowances))
    if outcome.status < 400:  # noqa: PLR2004
        return as_json(outcome.status, outcome.body, left)
    code = "processing_failed" if outcome.status == 422 else "all_rejected"  # noqa: PLR2004
    title, detail = _TITLES[code]
    problem = {"type": PROBLEM_TYPE + code, "title": title, "status": outcome.status, "detail": detail, "code": code}
    return as_json(
        outcome.status, {**outcome.body, **problem, "request_id": request.request_id}, {**left, "Content-Type": PROBLEM}
    )


_TITLES = {
    "processing_failed": ("Processing failed", "The event was stored as failed; errors says why."),
    "all_rejected": ("No event was valid", "Every event of the batch was rejected; results says why."),
}


def _wants_wait(request: Request) -> bool:
    said = request.first("wait")
    if said not in ("", "stored"):
        raise BadRequest("bad_parameter", "wait can only be 'stored'.")
    return said == "stored"


def _wants_all(request: Request) -> bool:
    said = request.first("results")
    if said not in ("", "all"):
        raise BadRequest("bad_parameter", "results can only be 'all'.")
    return said == "all"


def _client_ip(request: Request) -> str:
    forwarded = request.header("x-forwarded-for").partition(",")[0].strip()
    return forwarded or request.source_ip
