"""An independent client: ``python tests/faults/witness.py '{"url": …}'`` posts events and writes down every answer.

It uses nothing of Weir. What it sends is made from a seed: valid, invalid, late and repeated events, by requests of
each kind. A request that got no answer, or 429 or 503, is sent again with the same bytes until it is answered, as a
real client does. Its file holds a line for each request before it is sent first, and one for each answer; each line
is handed to the kernel at once. SIGTERM ends new requests; those that are owed an answer go on for a while.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CLIENTS = 3
EVENTS_A_BATCH = 25
VISITORS = 2
STEPS = ("one", "two", "other")
# So many requests a client at full speed; a fault that takes long is not to take longer for its load.
_BRISK_POSTS = 60
_PAUSE_SECONDS, _LONGER_PAUSE_SECONDS = 0.12, 0.6
_PATIENCE_SECONDS = 40.0
_OWED_SECONDS = 150.0
_LONGEST_RETRY_SECONDS = 2.0
_LATE_SECONDS = 3 * 86_400
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
_REMEMBERED = 50


@dataclass
class Plan:
    """What the witness is told: where to post, what to call it all, and how wrong the clients' clocks are."""

    url: str
    name: str
    file: str
    seed: int = 1
    clocks: list[float] = field(default_factory=lambda: [0.0])


@dataclass
class Post:
    """A request. ``told`` is what its line says of each event; the body's ``sent_at`` is stamped with each try."""

    number: str
    path: str
    events: list[dict[str, Any]]
    told: list[dict[str, Any]]
    key: str = ""


class Book:
    """The file. A line is whole or not there: one write each."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._turn = threading.Lock()

    def write(self, **line: Any) -> None:
        with self._turn:
            os.write(self._file, json.dumps({**line, "at": time.time()}).encode() + b"\n")


class Client(threading.Thread):
    """One client with a connection, a clock and a chance of its own."""

    def __init__(self, plan: Plan, place: int, book: Book, stop: threading.Event) -> None:
        super().__init__(name=f"client-{place}")
        self._plan, self._place, self._book, self._ending = plan, place, book, stop
        self._chance = random.Random(f"{plan.seed}:{plan.name}:{place}")
        self._clock = plan.clocks[place % len(plan.clocks)]
        self._link = http.client.HTTPConnection(plan.url.removeprefix("http://"), timeout=_PATIENCE_SECONDS)
        self._posts = 0
        self._owed: deque[tuple[float, Post]] = deque()
        self._answered: deque[Post] = deque(maxlen=_REMEMBERED)
        self.unanswered = 0

    def run(self) -> None:
        while not self._ending.is_set():
            if self._owed and self._owed[0][0] <= time.monotonic():
                self._try(self._owed.popleft()[1])
            else:
                self._new()
            self._ending.wait(_PAUSE_SECONDS if self._posts < _BRISK_POSTS else _LONGER_PAUSE_SECONDS)
        until = time.monotonic() + _OWED_SECONDS
        while self._owed and time.monotonic() < until:
            due, post = self._owed.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            self._try(post)
        self.unanswered = len(self._owed)

    def _new(self) -> None:
        kind = self._chance.choices(("batch", "keyed", "single", "again"), (60, 15, 10, 15))[0]
        if kind == "again" and self._answered:
            self._try(self._chance.choice(self._answered))
            return
        self._posts += 1
        number = f"{self._place}-{self._posts}"
        if kind == "single":
            post = self._post(number, "/api/v1/events", [self._event()])
        elif kind == "keyed":
            post = self._post(number, "/api/v1/events/batch?results=all", self._batch(named=False))
            post.key = f"{self._plan.name}-{number}"
        else:
            post = self._post(number, "/api/v1/events/batch", self._batch(named=True))
        self._book.write(sent=number, events=post.told, keyed=bool(post.key))
        self._try(post)

    def _post(self, number: str, path: str, made: list[tuple[dict[str, Any], dict[str, Any]]]) -> Post:
        return Post(number, path, [event for event, _ in made], [told for _, told in made])

    def _batch(self, named: bool) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        made = [self._event(named=named) for _ in range(EVENTS_A_BATCH)]
        made.append(self._event(named=named, valid=False))
        made.append(self._event(named=named, late=True))
        if named:
            made.append(self._chance.choice(made))
            made += self._once_more()
        self._chance.shuffle(made)
        return made

    def _once_more(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Ids of an earlier request in another form: what was invalid is mended, what was valid is spoiled."""
        known = [told for post in self._answered for told in post.told if told["id"]]
        if not known:
            return []
        one = self._chance.choice(known)
        return [self._event(valid=not one["valid"], like=one)]

    def _event(
        self, named: bool = True, valid: bool = True, late: bool = False, like: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """An event, and what the book says of it; ``like`` is what it says of an earlier form of the same event."""
        told = {**(like or self._new_told(named, late)), "valid": valid}
        event = {
            "event_type": self._chance.choice(("page_view", "click")) if valid else "",
            "event_name": told["name"],
            "platform": self._plan.name,
            "timestamp": _text(told["true"] + self._clock),
            "user_id": told["user"],
            "properties": {"n": self._chance.randrange(1_000_000)},
            "context": {"user_agent": _AGENT},
        }
        return ({"event_id": told["id"], **event} if told["id"] else event), told

    def _new_told(self, named: bool, late: bool) -> dict[str, Any]:
        """``true`` is when it happened by a clock that is right."""
        return {
            "id": str(uuid.UUID(int=self._chance.getrandbits(128), version=4)) if named else "",
            "name": f"{self._plan.name}:{self._chance.choice(STEPS)}",
            "user": f"{self._plan.name}-{self._place}-{self._chance.randrange(VISITORS)}",
            "true": time.time() - (self._chance.uniform(3_600, _LATE_SECONDS) if late else 0),
        }

    def _try(self, post: Post) -> None:
        status, answer, wait_seconds = self._ask(post)
        self._book.write(answer=post.number, status=status, **_kept(answer))
        again = any(one["result"] == "retry" for one in answer.get("results", ()))
        if status in (0, 429, 503) or again:
            self._owed.append((time.monotonic() + min(wait_seconds, _LONGEST_RETRY_SECONDS), post))
        else:
            self._answered.append(post)

    def _ask(self, post: Post) -> tuple[int, dict[str, Any], float]:
        """Status, answer, and how long to wait before the next try. Status 0: no answer came."""
        sent_at = _text(time.time() + self._clock)
        single = {**post.events[0], "sent_at": sent_at}
        body = json.dumps({"events": post.events, "sent_at": sent_at} if "batch" in post.path else single)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer wk_local"}
        if post.key:
            headers["Idempotency-Key"] = post.key
        try:
            self._link.request("POST", post.path, body, headers)
            answer = self._link.getresponse()
            return answer.status, json.loads(answer.read()), float(answer.headers.get("Retry-After") or 1)
        except (OSError, http.client.HTTPException, ValueError):
            self._link.close()
            return 0, {}, 0.5


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    """Of an answer what an account needs."""
    kept = {name: answer[name] for name in ("event_id", "batch_id", "received", "rejected", "detail") if name in answer}
    if "errors" in answer:
        kept["errors"] = [[one.get("index"), one.get("event_id")] for one in answer["errors"]]
    if "results" in answer:
        kept["results"] = [[one["index"], one["event_id"], one["result"]] for one in answer["results"]]
    return kept


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def main() -> int:
    """Post until SIGTERM. 3 when some requests were never answered."""
    plan = Plan(**json.loads(sys.argv[1]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    book = Book(Path(plan.file))
    clients = [Client(plan, place, book, stop) for place in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        while one.is_alive():
            # Waits in short pieces: a signal is handled by this thread alone.
            one.join(0.2)
    return 3 if any(one.unanswered for one in clients) else 0


if __name__ == "__main__":
    sys.exit(main())
