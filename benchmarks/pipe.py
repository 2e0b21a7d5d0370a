"""The pipe: collect, broker and enrich together, the same events through all three, per CPU-second of their sum.

Requests of 100 events go through the real handler into a real broker; the messages are pulled from it, as many at a
time as the event source takes by default, and handed to the enrich handler, which writes to a real store. Counted: the
CPU of both handlers, and all of the broker's, delivery included. Beside it: the store's. Excluded: the event source,
whose part the benchmark plays.
"""

import asyncio
import time
from typing import Any

from nats.aio.client import Client as NatsClient

from benchmarks.collect import EVENTS_A_REQUEST, Client, Context
from benchmarks.enrich import record
from benchmarks.events import Events
from benchmarks.machine import clickhouse, cpu_seconds, nats, quiet, with_geo
from benchmarks.results import Values
from functions.shared.adapters.nats_names import NAMES
from infra.nats.event_source.settings import EventSourceSettings

MESSAGES = EventSourceSettings().event_source_batch_size


class Consumer:
    """Pulls messages as the event source does, and acknowledges them once they are enriched."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = NatsClient()
        self._loop.run_until_complete(self._client.connect([url]))
        self._pull = self._loop.run_until_complete(
            self._client.jetstream().pull_subscribe_bind(NAMES.consumer, NAMES.stream)
        )

    def take(self) -> list[Any]:
        found: list[Any] = []
        while len(found) < MESSAGES:
            found += self._loop.run_until_complete(self._pull.fetch(MESSAGES - len(found), timeout=5))
        return found

    def ack(self, messages: list[Any]) -> None:
        for each in messages:
            self._loop.run_until_complete(each.ack_sync())

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


def measure(*, quick: bool = False) -> Values:
    """Of 100,000 events, or 20,000."""
    with_geo()
    rounds = 20 if quick else 100
    enriching = 0.0
    with nats() as broker, clickhouse() as store, quiet():
        from functions.enrich.app import enrich

        client, consumer = Client(Events()), Consumer(broker.url)
        for number in range(-5, rounds):
            if number == 0:
                client.reset()
                enriching = 0.0
                broker_before, store_before = cpu_seconds(broker.pid), cpu_seconds(store)
            for _ in range(MESSAGES):
                client.send()
            messages = consumer.take()
            event = {"Records": [record(each.data.decode(), place) for place, each in enumerate(messages)]}
            began = time.process_time()
            answer = enrich(event, Context)
            enriching += time.process_time() - began
            assert answer == {"batchItemFailures": []}, answer
            consumer.ack(messages)
        broker_seconds = cpu_seconds(broker.pid) - broker_before
        store_seconds = cpu_seconds(store) - store_before
        consumer.close()
        client.close()
    count = rounds * MESSAGES * EVENTS_A_REQUEST
    return {
        "pipe_events_per_cpu_second": count / (client.spent + enriching + broker_seconds),
        "pipe_collect_us": client.spent / count * 1e6,
        "pipe_broker_us": broker_seconds / count * 1e6,
        "pipe_enrich_us": enriching / count * 1e6,
        "pipe_store_us": store_seconds / count * 1e6,
    }
