"""Answers kept as long as the data they were made from: looked up by the question and the state of the data.

An answer is never older than what the batches have computed, so there is no time to wait after new data; how long it
may stand unchecked at a client is in ``Cache-Control``: not at all, it is to ask with ``If-None-Match``.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import msgspec

from functions.shared.edge import JSON, Answer, Request

_ENTRIES = 256
_LARGEST_BYTES = 512 * 1024
_CONTROL = "private, max-age=0, must-revalidate"


class AnswerCache:
    """Bounded, the longest unused goes first. One a process; several threads may use it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._guard = Lock()

    def answer(self, request: Request, state: str, make: Callable[[], object]) -> Answer:
        """The answer as JSON: kept, newly made, or 304 when the client has it."""
        tag = _tag(request, state)
        headers = {"ETag": f'"{tag}"', "Cache-Control": _CONTROL, "Vary": "Authorization, X-Api-Key"}
        if _has(request.header("if-none-match"), tag):
            return Answer(304, "", {**headers, "X-Cache": "HIT"})
        with self._guard:
            body = self._kept.get(tag)
            if body is not None:
                self._kept.move_to_end(tag)
        if body is not None:
            return Answer(200, body, {**headers, "Content-Type": JSON, "X-Cache": "HIT"})
        body = msgspec.json.encode(make()).decode()
        if len(body) <= _LARGEST_BYTES:
            with self._guard:
                self._kept[tag] = body
                while len(self._kept) > _ENTRIES:
                    self._kept.popitem(last=False)
        return Answer(200, body, {**headers, "Content-Type": JSON, "X-Cache": "MISS"})


def _tag(request: Request, state: str) -> str:
    """Names an answer: the state of the data, and the question however its parameters are ordered."""
    asked = [request.path.rstrip("/"), sorted((name, list(values)) for name, values in request.params.items())]
    return hashlib.sha256(msgspec.json.encode([state, asked])).hexdigest()[:32]


def _has(given: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names the tag; a proxy that compressed the answer may have made it a weak one."""
    tags = [one.strip().removeprefix("W/").strip('"').removesuffix("-gzip") for one in given.split(",")]
    return tag in tags or given.strip() == "*"
