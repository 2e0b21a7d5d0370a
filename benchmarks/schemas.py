"""How long schemas take an event: ``python -m benchmarks.schemas``.

Events of the usual size in blocks of 100, as enrich takes them: without a schema, with one of twenty properties that
they hold to, and with one that they violate in two places. CPU of this process; reading the registry is beside it.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.events import Events
from schemas.owned.judging import Judge
from schemas.owned.registry import load

BLOCK, BLOCKS, PASSES = 100, 300, 5
_TEXT = {"type": "string", "maxLength": 200}


def _schema(violated: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {f"p{number:02}": _TEXT for number in range(20)}
    required = ["one", "two"] if violated else []
    inner = {"type": "object", "properties": properties, "required": required}
    page = {"properties": {"url": {"type": "string", "format": "uri"}, "title": _TEXT}}
    context = {"type": "object", "properties": {"page": page, "locale": _TEXT}}
    known = {"event_type": {"enum": ["page_view", "click", "purchase", "x"]}, "properties": inner, "context": context}
    return {"title": "Judged", "type": "object", "required": ["event_id"], "properties": known}


def _events(name: str) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in Events().take(BLOCK)]
    for event in events:
        event |= {"event_name": name, "event_type": "x"}
        event["properties"] |= {f"p{number:02}": f"value {number}" for number in range(20)}
    return events


def _judge(folder: Path, violated: bool) -> Judge:
    (folder / "judged").mkdir(exist_ok=True)
    (folder / "judged" / "1.0.json").write_text(json.dumps(_schema(violated)))
    return Judge(load(folder))


def _microseconds(judge: Judge, events: list[dict[str, Any]], violations: int) -> float:
    best = float("inf")
    for _ in range(PASSES):
        began = time.process_time()
        for _ in range(BLOCKS):
            found = judge.judge(events, "live_0123456789abcdef")
        best = min(best, time.process_time() - began)
        assert len(found) == violations, found
    return best / (BLOCK * BLOCKS) * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        began = time.process_time()
        judge = _judge(Path(temporary), False)
        print(f"reading a registry of one schema  {(time.process_time() - began) * 1e3:8.1f} ms")
        began = time.process_time()
        load()
        print(f"reading the shipped one after it  {(time.process_time() - began) * 1e3:8.1f} ms")
        print(f"an event without a schema         {_microseconds(judge, _events('Else'), 0):8.2f} µs")
        print(f"an event that holds to its schema {_microseconds(judge, _events('Judged'), 0):8.2f} µs")
        violated = _judge(Path(temporary), True)
        print(f"an event that violates it twice   {_microseconds(violated, _events('Judged'), BLOCK):8.2f} µs")


if __name__ == "__main__":
    main()
