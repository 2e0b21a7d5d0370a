"""Answers kept as long as the data they were made from: looked up by the question and the state of the data.

An answer is never older than what the batches have computed, so there is no time to wait after new data; how long it
may stand unchecked at a client is in ``Cache-Control``: not at all, it is to ask with ``If-None-Match``.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import msgspec

from functions.serve.formats import TRANSPORT_BYTES, transport_size
from functions.shared.edge import JSON, Answer, Request, outcome_counts
from functions.shared.errors import BadRequest
from functions.shared.observe import Observer

_KEPT_BYTES = 32 * 1024 * 1024
_LARGEST_BYTES = 1024 * 1024
_LONGEST_SECONDS = 600.0
_CONTROL = "private, max-age=0, must-revalidate"


class AnswerCache:
    """Bounded in bytes, the longest unused goes first. One a process; several threads may use it.

    An answer is forgotten ten minutes after it was made, with the next question: somebody in it may have been erased,
    and then nobody asks for it by the same state again. ``now`` is in seconds.
    """

    def __init__(self, most_bytes: int = _KEPT_BYTES, now: Callable[[], float] = time.monotonic) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._made: dict[str, float] = {}
        self._bytes, self._most_bytes, self._now = 0, most_bytes, now
        self._guard = Lock()

    def answer(self, request: Request, state: str, make: Callable[[], object]) -> Answer:
        """The answer as JSON: kept, newly made, or 304 when the client has it."""
        tag = _tag(request, state)
        headers = {"ETag": f'"{tag}"', "Cache-Control": _CONTROL, "Vary": "Authorization, X-Api-Key"}
        if _has(request.header("if-none-match"), tag):
            return Answer(304, "", {**headers, "X-Cache": "HIT"})
        body = self._find(tag)
        found = "MISS" if body is None else "HIT"
        if body is None:
            body = _encoded(make())
            self._keep(tag, body)
        return Answer(200, body.decode(), {**headers, "Content-Type": JSON, "X-Cache": found})

    def _find(self, tag: str) -> bytes | None:
        with self._guard:
            # In the order in which they were made.
            while self._made and self._now() - next(iter(self._made.values())) > _LONGEST_SECONDS:
                self._drop(next(iter(self._made)))
            if tag in self._kept:
                self._kept.move_to_end(tag)
            return self._kept.get(tag)

    def _keep(self, tag: str, body: bytes) -> None:
        if len(body) > _LARGEST_BYTES:
            return
        with self._guard:
            if tag in self._kept:
                self._drop(tag)
            self._kept[tag], self._made[tag] = body, self._now()
            self._bytes += len(body)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, tag: str) -> None:
        self._bytes -= len(self._kept.pop(tag))
        del self._made[tag]


def _encoded(answer: object) -> bytes:
    body = msgspec.json.encode(answer)
    if transport_size(body) > TRANSPORT_BYTES:
        raise BadRequest("answer_too_large", "The answer is too large for one. Ask for less: a shorter range, a limit.")
    return body


def _tag(request: Request, state: str) -> str:
    """Names an answer: the state of the data, whose it is, and the question however its parameters are ordered."""
    asked = [
        request.environment,
        request.path.rstrip("/"),
        sorted((name, list(values)) for name, values in request.params.items()),
    ]
    return hashlib.sha256(msgspec.json.encode([state, asked])).hexdigest()[:32]


def _has(given: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names the tag; a proxy that compressed the answer may have made it a weak one."""
    tags = [one.strip().removeprefix("W/").strip('"').removesuffix("-gzip") for one in given.split(",")]
    return tag in tags


class Watched:
    """The log line of one request, with whether its answer was kept; of answers that are never kept it says nothing."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._counts = {"requests": 1}

    def view(self, view: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        """The view, looked at."""

        def looked_at(request: Request) -> Answer:
            answer = view(request)
            if found := answer.headers.get("X-Cache"):
                self._counts["answer_cache_hits" if found == "HIT" else "answer_cache_misses"] = 1
            return answer

        return looked_at

    def observe(self, operation: str, request_id: str, milliseconds: float, answer: Answer) -> None:
        """Write the line."""
        counts = self._counts | outcome_counts(answer.status)
        spent = {"handle": round(milliseconds, 3)}
        self._observer.invocation(operation, request_id, counts, spent, answer.status, answer.refused_key)
