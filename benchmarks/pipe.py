"""The pipe: collect, broker and enrich together, the same events through all three, per CPU-second of their sum.

Requests of 100 events go through the real handler into a real broker. It then holds 50 messages, 3.5 MB, as it does
under load, and these are taken and acknowledged as the event source does it by default, and handed to the enrich
handler, which writes to a real store. Counted: the CPU of both handlers, and all of the broker's, delivery included.
Beside it: the store's. Excluded: the event source, whose part the benchmark plays.
"""

import asyncio
import time

from benchmarks.collect import EVENTS_A_REQUEST, Client, Context
from benchmarks.enrich import record
from benchmarks.events import Events
from benchmarks.machine import clickhouse, cpu_seconds, nats, quiet, with_geo
from benchmarks.results import Values
from functions.shared.adapters.nats_pull import Taken
from infra.nats.event_source.broker import Broker
from infra.nats.event_source.settings import EventSourceSettings

REQUESTS_A_ROUND = 50


class Consumer:
    """Takes batches and acknowledges them by the event source's own connection."""

    def __init__(self, url: str) -> None:
        self._settings = EventSourceSettings()
        self._loop = asyncio.new_event_loop()
        self._broker = Broker(url)

    def take(self) -> list[Taken]:
        one = self._settings
        return self._loop.run_until_complete(
            self._broker.take(
                one.event_source_batch_size, one.event_source_batch_bytes, 5, one.event_source_window_seconds
            )
        )

    def ack(self, messages: list[Taken]) -> None:
        for each in messages:
            self._loop.run_until_complete(self._broker.ack(each))

    def close(self) -> None:
        self._loop.run_until_complete(self._broker.close())
        self._loop.close()


def measure(*, quick: bool = False) -> Values:
    """Of 150,000 events, or 30,000."""
    with_geo()
    rounds = 6 if quick else 30
    enriching = 0.0
    with nats() as broker, clickhouse() as store, quiet():
        from functions.enrich.app import enrich

        client, consumer = Client(Events()), Consumer(broker.url)
        for number in range(-1, rounds):
            if number == 0:
                client.reset()
                enriching = 0.0
                broker_before, store_before = cpu_seconds(broker.pid), cpu_seconds(store)
            for _ in range(REQUESTS_A_ROUND):
                client.send()
            left = REQUESTS_A_ROUND
            while left:
                messages = consumer.take()
                event = {"Records": [record(each.message.data.decode(), place) for place, each in enumerate(messages)]}
                began = time.process_time()
                answer = enrich(event, Context)
                enriching += time.process_time() - began
                assert answer == {"batchItemFailures": []}, answer
                consumer.ack(messages)
                left -= len(messages)
        broker_seconds = cpu_seconds(broker.pid) - broker_before
        store_seconds = cpu_seconds(store) - store_before
        consumer.close()
        client.close()
    count = rounds * REQUESTS_A_ROUND * EVENTS_A_REQUEST
    return {
        "pipe_events_per_cpu_second": count / (client.spent + enriching + broker_seconds),
        "pipe_collect_us": client.spent / count * 1e6,
        "pipe_broker_us": broker_seconds / count * 1e6,
        "pipe_enrich_us": enriching / count * 1e6,
        "pipe_store_us": store_seconds / count * 1e6,
    }
