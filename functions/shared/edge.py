"""The edge: where requests come in, and where errors become HTTP answers or ``batchItemFailures``. Nowhere else.

No framework is imported. A handler takes a :class:`Request` and returns an :class:`Answer`; ``app.py`` maps both::

    respond = answering(service.events, name="GET /api/v1/events", observe=metrics)
    answer = respond(app.current_request)
    return Response(answer.body, answer.headers, answer.status)
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.shared.credentials import BETWEEN
from functions.shared.domain import rates
from functions.shared.domain.keys import NOBODY, Environment, Key
from functions.shared.domain.rates import Allowance
from functions.shared.errors import BadRequest, Misconfigured, Reject, Retry, WeirError

JSON = "application/json"
PROBLEM = "application/problem+json"
PROBLEM_TYPE = "urn:weir:problem:"
# What is counted of a request that was not let in, by the status of its answer.
_NOT_LET_IN = {401: "requests_refused", 403: "requests_refused", 429: "requests_limited"}

# Of these a request may carry one, and is not to be read by another of several than its gateway reads.
_ONCE = ("authorization", "x-api-key", "origin")

Observe = Callable[[str, str, float, "Answer"], None]
Report = Callable[[str, BaseException], None]

_log = logging.getLogger("weir.edge")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=+/-]{1,128}\Z")
_AFTER_UNEXPECTED_SECONDS = 5
_THIS_MACHINE = frozenset({"", "127.0.0.1", "::1"})
_YES = frozenset({"true", "1", "yes", ""})
_NO = frozenset({"false", "0", "no"})


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, free of any framework. Header names are lower case; each parameter has all its values.

    ``resource`` is the path as it was declared, ``key`` that of who asks once the gate let it pass, and ``allowances``
    what it has left by then.
    """

    method: str = "GET"
    path: str = "/"
    params: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path_params: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    source_ip: str = ""
    request_id: str = ""
    resource: str = ""
    key: Key = NOBODY
    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def of(cls, source: Any) -> "Request":
        """Read a Chalice request (or anything of its shape: duck-typed, so that this file needs no framework)."""
        headers = {str(name).lower(): str(value) for name, value in (source.headers or {}).items()}
        headers.update(_sent_twice(source))
        context = source.context or {}
        return cls(
            method=source.method,
            path=str(context.get("path") or source.path),
            params=_all_values(source.query_params),
            headers=headers,
            path_params=dict(source.uri_params or {}),
            body=source.raw_body,
            source_ip=str((context.get("identity") or {}).get("sourceIp") or ""),
            request_id=_request_id(headers, context),
            resource=str(source.path),
        )

    @property
    def address(self) -> str:
        """Where the request comes from: the gateway's word, or behind a proxy on this machine that proxy's."""
        if self.source_ip not in _THIS_MACHINE:
            return self.source_ip
        # The last is the nearest: what stands before it, a client may have written itself.
        return self.header("x-forwarded-for").rpartition(",")[2].strip() or self.source_ip

    @property
    def environment(self) -> Environment:
        """Whose data the request is about: that of the other environment is not there for it."""
        return self.key.environment

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.params.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes. Raises :class:`BadRequest` for what is neither yes nor no."""
        said = self.first(name, "false").lower()
        if said not in _YES | _NO:
            raise BadRequest("bad_parameter", f"{name} must be true or false, not {said[:40]!r}.")
        return said in _YES

    def header(self, name: str) -> str:
        """A header's value, or the empty string."""
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, free of any framework. ``refused_key`` is for the log: whose request was not let in."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    refused_key: str = ""


def as_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose body is ``value`` as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not _is_unicode(body):
        body = json.dumps(value, separators=(",", ":"))
    return Answer(status, body, {"Content-Type": JSON, **(headers or {})})


def problem(
    status: int,
    title: str,
    detail: str,
    request_id: str,
    code: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An RFC 9457 answer. ``code`` is stable and is also the end of ``type``; ``errors`` tell what is wrong where."""
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = list(errors)
    # ASCII: a detail may quote what a client sent, and that need not be valid Unicode.
    return Answer(status, json.dumps(body, separators=(",", ":")), {"Content-Type": PROBLEM, **(headers or {})})


def log_failure(what: str, error: BaseException) -> None:
    """Log an error by its type and place. Its message may hold what a client sent, which no log is to keep."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "an unknown place"
    told = f": {error}" if isinstance(error, Misconfigured) else ""
    _log.error("%s failed by %s at %s%s", what, type(error).__name__, place, told)


def from_error(error: Exception, request_id: str, report: Report = log_failure) -> Answer:
    """The answer to an error. One that is not the client's to mend is reported, and told as 503: send it again."""
    if isinstance(error, Reject):
        return problem(error.status, error.title, error.detail, request_id, error.code, error.errors, error.headers)
    if isinstance(error, Retry):
        return _later(error, _snake(type(error).__name__), request_id)
    report(f"request {request_id}", error)
    detail = "The service is not set up correctly." if isinstance(error, Misconfigured) else "Something went wrong."
    detail += " Nothing was accepted; send the same again later."
    return _later(Retry(detail, _AFTER_UNEXPECTED_SECONDS), "internal_error", request_id)


def answering(
    handler: Callable[[Request], Answer],
    name: str = "",
    observe: Observe = lambda *_: None,
    report: Report = log_failure,
    admit: Callable[[Request], Request] = lambda request: request,
) -> Callable[[Any], Answer]:
    """Wrap a handler so that it answers whatever happens: never a bare 500, never a stack trace.

    The wrapped handler takes the framework's request or a :class:`Request`. ``admit`` lets a request pass, or raises.
    ``observe`` is told the name, the
    request's id, the milliseconds it took, and the answer; ``report`` of errors that nobody raised on purpose. Each
    answer carries ``X-Request-Id``.
    """

    def respond(source: Any) -> Answer:
        started = time.perf_counter()
        request_id = str(uuid.uuid4())
        allowances: tuple[Allowance, ...] = ()
        key_id = ""
        try:
            request = source if isinstance(source, Request) else Request.of(source)
            request_id = request.request_id or request_id
            request = admit(request)
            allowances, key_id = request.allowances, request.key.key_id
            answer = handler(request)
        except Exception as error:  # noqa: BLE001  the loop of a request: whatever it was, the client is told
            answer = from_error(error, request_id, report)
            key_id = key_id or (error.key_id if isinstance(error, WeirError) else "")
        headers = {"X-Request-Id": request_id, **rates.headers(allowances), **answer.headers}
        answer = Answer(answer.status, answer.body, headers, key_id if answer.status in _NOT_LET_IN else "")
        observe(name, request_id, (time.perf_counter() - started) * 1000, answer)
        return answer

    return respond


def outcome_counts(status: int) -> dict[str, int]:
    """What an answer's status adds to the counts of a request."""
    return {_NOT_LET_IN[status]: 1} if status in _NOT_LET_IN else {}


def batch_failures(message_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """What a queue-triggered function returns: the messages to deliver again."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}


def settling(
    message_ids: Sequence[str], handle: Callable[[], Mapping[str, str]], report: Report = log_failure
) -> dict[str, Any]:
    """Run a queue handler that returns the ids to deliver again, and why. If it raises, nothing is acknowledged.

    ``causes`` is what the event source keeps in a dead letter; AWS reads past it.
    """
    try:
        return _again(handle())
    except Retry as error:
        # The store is away: the event source waits for it, and counts no try against the messages.
        return {**batch_failures(message_ids), "unavailable": error.detail}
    except Misconfigured as error:
        # No message is to blame, and each try would take it nearer to the dead letters.
        report(f"a block of {len(message_ids)} messages", error)
        return {**batch_failures(message_ids), "unavailable": "The function is not set up correctly."}
    except Exception as error:  # noqa: BLE001  the loop of a block: the broker must keep what was not recorded
        report(f"a block of {len(message_ids)} messages", error)
        return _again(dict.fromkeys(message_ids, type(error).__name__))


def reporting(handle: Callable[[], dict[str, Any]], name: str, report: Report = log_failure) -> dict[str, Any]:
    """Run a handler that is invoked by itself. Of what is away, or not set up, the answer is ``failed`` and why.

    That is not raised: Lambda would log a stack trace, which tells less than the name of a setting does.
    """
    try:
        return handle()
    except Retry as error:
        report(name, error)
        return {"state": "failed", "detail": error.detail}
    except Misconfigured as error:
        report(name, error)
        return {"state": "failed", "detail": str(error)}


def _again(causes: Mapping[str, str]) -> dict[str, Any]:
    return {**batch_failures(causes), **({"causes": dict(causes)} if causes else {})}


def _later(error: Retry, code: str, request_id: str) -> Answer:
    headers = {**error.headers, "Retry-After": str(max(1, error.after_seconds))}
    return problem(error.status, error.title, error.detail, request_id, code, headers=headers)


def _all_values(source: Any) -> dict[str, list[str]]:
    """Each parameter's values, in order. Takes a Chalice ``MultiDict``, a mapping of lists, or nothing."""
    if not source:
        return {}
    values = {}
    for name in source:
        got = source.getlist(name) if hasattr(source, "getlist") else source[name]
        values[str(name)] = ["" if one is None else str(one) for one in got]
    return values


def _sent_twice(source: Any) -> dict[str, str]:
    """All values of the headers that came more than once and may not: the framework keeps the last one alone."""
    event = source.to_original_event() if hasattr(source, "to_original_event") else {}
    found = {}
    for name, values in (event.get("multiValueHeaders") or {}).items():
        if str(name).lower() in _ONCE and len(values) > 1:
            found[str(name).lower()] = BETWEEN.join(map(str, values))
    return found


def _request_id(headers: Mapping[str, str], context: Mapping[str, Any]) -> str:
    """The client's own id when it is a sane one, so that it can find its request in our log; else the gateway's."""
    for candidate in (headers.get("x-request-id"), context.get("requestId")):
        if candidate and _REQUEST_ID.match(str(candidate)):
            return str(candidate)
    return str(uuid.uuid4())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
