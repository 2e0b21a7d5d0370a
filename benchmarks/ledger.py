"""The ledger: by how much it adds to what an event takes on the disk, of the same events as all benchmarks.

Requests of 100 events, and of one, go through the real handlers, broker and store; the tallies are taken as measure
does it; then everything is merged and counted in bytes, as it lies compressed on the disk.
"""

import os
import uuid

import clickhouse_connect

from benchmarks.collect import Context, request
from benchmarks.enrich import record
from benchmarks.events import Events
from benchmarks.machine import DATABASE, clickhouse, nats, quiet, with_geo
from benchmarks.pipe import Consumer
from benchmarks.results import Values

SIZES = (100, 1)
_LEDGER = ("ledger",)
_EVENTS = ("raw_events", "processed_events", "event_deliveries")
_BYTES = """SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()
AND table IN {tables:Array(String)}"""


def measure(*, quick: bool = False) -> Values:
    """Of 30,000 events in requests of 100 and 3,000 in requests of one, or a third of them."""
    with_geo()
    found: Values = {}
    for size in SIZES:
        requests = (300 if size > 1 else 3_000) // (3 if quick else 1)
        with nats() as broker, clickhouse(), quiet():
            _through(broker.url, size, requests)
            events, ledger = _bytes(_EVENTS), _bytes(_LEDGER)
        found[f"ledger_{size}_bytes_per_event"] = ledger / (requests * size)
        found[f"ledger_{size}_share_of_stored"] = ledger / events
    return found


def _through(url: str, size: int, requests: int) -> None:
    from functions.collect.app import app
    from functions.enrich.app import enrich
    from functions.shared import wiring

    for cached in (wiring.collect_service, wiring.enrich_service, wiring.measure_settings):
        cached.cache_clear()
    events, consumer, template = Events(invalid=False), Consumer(url), request("")
    left = requests
    for _ in range(requests):
        # As the gateway names them: of each tally the name of its request is a third.
        named = {**template["requestContext"], "requestId": str(uuid.uuid4())}
        event = {**template, "body": events.body(size), "requestContext": named}
        assert app(event, Context)["statusCode"] == 202
    while left:
        messages = consumer.take()
        records = [record(each.message.data.decode(), place) for place, each in enumerate(messages)]
        assert enrich({"Records": records}, Context) == {"batchItemFailures": []}
        consumer.ack(messages)
        left -= len(messages)
    taken, complete = wiring.keeper(wiring.measure_settings()).take(lambda: True)
    assert (taken, complete) == (requests, True), (taken, complete)
    consumer.close()


def _bytes(tables: tuple[str, ...]) -> int:
    with clickhouse_connect.get_client(
        dsn=os.environ["WEIR_CLICKHOUSE_URL"], database=DATABASE, autogenerate_session_id=False
    ) as store:
        for table in tables:
            store.command(f"OPTIMIZE TABLE {table} FINAL")
        return int(store.query(_BYTES, parameters={"tables": list(tables)}).result_rows[0][0])
