"""Enrich: events per CPU-second of the real queue handler, writing both tables of a real store.

An invocation is 10 messages of 500 events, every event new. Counted is the CPU of this process while the handler runs;
the store's is beside it. Reading the invocation's JSON is Lambda's runtime's, and not counted.
"""

import time
import uuid
from typing import Any

from benchmarks.collect import Context
from benchmarks.events import Events
from benchmarks.machine import clickhouse, cpu_seconds, quiet, with_geo
from benchmarks.results import Values
from schemas.envelope import Header, RequestInfo, pack

MESSAGES, EVENTS_A_MESSAGE = 10, 500
_WARM_UP = 1


def invocation(events: Events) -> dict[str, Any]:
    """An event of the shape that SQS and the event source give."""
    return {"Records": [record(message(events, EVENTS_A_MESSAGE), place) for place in range(MESSAGES)]}


def record(body: str, place: int) -> dict[str, Any]:
    """One message of it."""
    attributes = {"SentTimestamp": str(time.time_ns() // 1_000_000), "ApproximateReceiveCount": "1"}
    return {"messageId": f"events:{place}", "body": body, "attributes": attributes}


def message(events: Events, count: int) -> str:
    """The envelope of so many new events."""
    header = Header(
        batch_id=str(uuid.uuid4()),
        batch_size=count,
        key_id="0123456789abcdef",
        received_at=time.time_ns(),
        request=RequestInfo(ip="81.2.69.142", user_agent="Mozilla/5.0"),
    )
    return pack(header, [line.encode() for line in events.take(count)]).decode()


def measure(*, quick: bool = False) -> Values:
    """For 40 invocations (200,000 events), or 6."""
    with_geo()
    spent = 0.0
    rounds = 6 if quick else 40
    with clickhouse() as store, quiet():
        from functions.enrich.app import enrich

        events = Events()
        for number in range(-_WARM_UP, rounds):
            event = invocation(events)
            if number == 0:
                spent, before = 0.0, cpu_seconds(store)
            began = time.process_time()
            answer = enrich(event, Context)
            spent += time.process_time() - began
            assert answer == {"batchItemFailures": []}, answer
        store_seconds = cpu_seconds(store) - before
    count = rounds * MESSAGES * EVENTS_A_MESSAGE
    return {
        "enrich_events_per_cpu_second": count / spent,
        "enrich_us": spent / count * 1e6,
        "enrich_store_us": store_seconds / count * 1e6,
    }
