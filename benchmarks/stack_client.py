"""The client of the stack's benchmark, a process of its own: ``… URL closed|open SECONDS``; its last line is JSON.

Closed loop: each of a few connections sends its next request when the last was answered. Open loop: requests leave by
the clock, and a late answer delays none; its time runs from when the request was due.
"""

import http.client
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.events import Events

CONNECTIONS, OPEN_CONNECTIONS = 4, 16
EVENTS_A_REQUEST = 500
OPEN_EVENTS_A_SECOND = 5_000


class Connection(threading.Thread):
    """One keep-alive connection and what its requests came to."""

    def __init__(self, url: str, load: "Load") -> None:
        super().__init__()
        self._link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._load = load
        self.acknowledged = 0
        self.refused: dict[str, int] = {}
        self.ack_ms: list[float] = []
        self.acked_at: dict[str, float] = {}

    def run(self) -> None:
        while (due := self._load.next()) is not None:
            with self._load.turn:
                body = self._load.events.body(EVENTS_A_REQUEST)
            began = due or time.time()
            status, answer = self._ask(body)
            ended = time.time()
            if status == 202:
                # A bad event is acknowledged too: it is kept, as failed.
                self.acknowledged += answer["received"]
                self.ack_ms.append((ended - began) * 1000)
                self.acked_at[answer["batch_id"]] = ended
            else:
                self.refused[str(status)] = self.refused.get(str(status), 0) + 1

    def _ask(self, body: str) -> tuple[int, Any]:
        try:
            headers = {"Content-Type": "application/json", "Authorization": "Bearer wk_local"}
            self._link.request("POST", "/api/v1/events/batch", body, headers)
            answer = self._link.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._link.close()
            return 0, None


class Load:
    """Says when the next request is due: now (0), at a moment, or never (None)."""

    def __init__(self, kind: str, seconds: float) -> None:
        self.events = Events()
        self.turn = threading.Lock()
        self._open = kind == "open"
        self._began = time.time()
        self._until = self._began + seconds
        self._sent = 0

    def next(self) -> float | None:
        if not self._open:
            return 0 if time.time() < self._until else None
        with self.turn:
            due = self._began + self._sent * EVENTS_A_REQUEST / OPEN_EVENTS_A_SECOND
            self._sent += 1
        if due >= self._until:
            return None
        time.sleep(max(0.0, due - time.time()))
        return due


def main() -> None:
    url, kind, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    load = Load(kind, seconds)
    began = time.time()
    connections = [Connection(url, load) for _ in range(OPEN_CONNECTIONS if kind == "open" else CONNECTIONS)]
    for one in connections:
        one.start()
    for one in connections:
        one.join()
    refused: dict[str, int] = {}
    for one in connections:
        for status, count in one.refused.items():
            refused[status] = refused.get(status, 0) + count
    told = {
        "seconds": time.time() - began,
        "acknowledged": sum(one.acknowledged for one in connections),
        "refused": refused,
        "ack_ms": sorted(value for one in connections for value in one.ack_ms),
        "acked_at": {batch: at for one in connections for batch, at in one.acked_at.items()},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
