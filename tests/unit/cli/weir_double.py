"""A Weir for the command line's tests: answers like the real one, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from schemas.limits import Limits
from schemas.splitting import split_ndjson
from schemas.validation import Validator


class WeirDouble:
    """Takes batches as collect does, judged by the real validator. ``before`` may answer in its place."""

    def __init__(self, before: Callable[[int, httpx.Request], httpx.Response | None] = lambda *_: None) -> None:
        self.posts: list[httpx.Request] = []
        self.events: dict[str, dict[str, Any] | None] = {}
        self.failed: dict[str, str] = {}
        self._before = before
        self._validator = Validator(Limits())

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self), base_url="http://weir.test")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            return httpx.Response(200, json={"status": "ok"})
        if request.url.path == "/api/v1/status":
            return httpx.Response(200, json=self.status())
        self.posts.append(request)
        return self._before(len(self.posts), request) or self._batch(request)

    def status(self) -> dict[str, Any]:
        stored = len(self.events) + len(self.failed)
        counts = {"received": stored, "stored": stored, "processed": len(self.events), "failed": len(self.failed)}
        return {
            "ledger": {**counts, "erased": 0, "duplicates": 0},
            "queue": {"ready": 0, "in_flight": 0, "dead": 0},
            "lag": None,
            "unavailable": {},
        }

    def _batch(self, request: httpx.Request) -> httpx.Response:
        lines = split_ndjson(request.content).events
        checked = self._validator.check(lines)
        results = []
        for index, event in enumerate(checked.events):
            faults = checked.faults.get(index)
            own = (event or {}).get("event_id") or _own(lines[index]) or f"assigned-{len(self.posts)}-{index}"
            if faults:
                self.failed[own] = faults[0].code
                errors = [{"loc": list(one.loc), "code": one.code, "message": one.message} for one in faults]
                results.append({"index": index, "event_id": own, "result": "drop", "errors": errors})
            elif own in self.events:
                results.append({"index": index, "event_id": own, "result": "duplicate", "errors": []})
            else:
                self.events[own] = event
        rejected = len(checked.faults)
        answer = {"received": len(lines), "accepted": len(lines) - rejected, "rejected": rejected, "results": results}
        return httpx.Response(400 if rejected == len(lines) else 202, json=answer)


def _own(line: bytes) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return ""
    return str(value.get("event_id") or "") if isinstance(value, dict) else ""
