"""Replay: a million dead letters, collected from a real broker, mended by a patch, and stored; by the clock.

Messages of 100 events lie among the broker's dead letters. They are made rows; then a replay sends them, and a process
of its own takes them, enriches and stores them, as the function does. Counted: until every one is stored and resolved.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.events import Events
from benchmarks.machine import clickhouse, nats, with_geo
from benchmarks.results import Values

EVENTS_A_MESSAGE = 100
_PATCH = b'[{"op":"drop","path":"properties.quantity"},{"op":"set","path":"properties.mended","value":true}]'
_DRAIN = "from functions.shared.wiring import drain\nwhile True: drain().run(60)"
_SETTLE_SECONDS = 120


def measure(*, quick: bool = False) -> Values:
    """Of a million dead letters, or 100,000."""
    count = 100_000 if quick else 1_000_000
    with_geo()
    with nats() as broker, clickhouse():
        from functions.measure.replays.request import Request
        from functions.shared.wiring import collector, replay_runner, replay_service
        from schemas import patch

        asyncio.run(_give_up(broker.url, count))
        began = time.monotonic()
        assert collector().run(lambda: True) == count
        collected = time.monotonic()
        made = replay_service().create(Request("dead", patch=patch.read(_PATCH)))
        assert made["matched"] == count, made
        with _enriching():
            own = time.process_time()
            replay_runner().run(lambda: True, made["replay_id"])
            own = time.process_time() - own
            sent = time.monotonic()
            while (found := replay_service().get(made["replay_id"]))["state"] != "done":
                assert time.monotonic() < sent + _SETTLE_SECONDS, found
                time.sleep(0.5)
                replay_runner().run(lambda: True, made["replay_id"])
            ended = time.monotonic()
        assert (found["stored"], found["failed_again"]) == (count, 0), found
    return {
        "replay_events_per_second": count / (ended - collected),
        "replay_collected_per_second": count / (collected - began),
        "replay_sent_per_second": count / (sent - collected),
        # Of the process that sends; the store, the broker and who enriches have theirs.
        "replay_sent_events_per_cpu_second": count / own,
    }


async def _give_up(url: str, count: int) -> None:
    """Put messages of valid events among the dead letters."""
    import nats as client

    from functions.shared.adapters import nats_names
    from schemas.envelope import Header, pack

    connection = await client.connect(url)
    events = Events(invalid=False)
    pending = []
    for number in range(count // EVENTS_A_MESSAGE):
        lines = [line.encode() for line in events.take(EVENTS_A_MESSAGE)]
        header = Header(
            batch_id=f"00000000-0000-8000-8000-{number:012x}", batch_size=len(lines), key_id="k",
            received_at=time.time_ns(),
        )  # fmt: skip
        headers = {nats_names.CAUSE: "RuntimeError", nats_names.ATTEMPTS: "5"}
        pending.append(connection.request(nats_names.NAMES.dead_subject, pack(header, lines), 30, headers=headers))
        if len(pending) == 50:
            await asyncio.gather(*pending)
            pending = []
    await asyncio.gather(*pending)
    await connection.close()


@contextmanager
def _enriching() -> Iterator[None]:
    """A process that takes what is queued, enriches and stores it."""
    process = subprocess.Popen([sys.executable, "-c", _DRAIN], cwd=Path(__file__).parents[1])
    try:
        yield
    finally:
        process.kill()
        process.wait()
