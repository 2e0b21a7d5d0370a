"""The faults, as data: what is broken, how, how it is mended, and what clients see meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import acts_broker, acts_clients, acts_everything, acts_functions, acts_store
from tests.faults.scene import Scene

ITSELF = "comes back by itself"
ACCEPTED, REFUSED, BRIEFLY = "202 as ever", "503, nothing accepted", "503 for a moment"
DAY = 86_400.0


@dataclass(frozen=True)
class Fault:
    """One row. ``act`` breaks and mends it. ``refuses``: clients must be refused meanwhile, or it had no bite."""

    name: str
    broken: str
    how: str
    mended: str
    expected: str
    act: Callable[[Scene], None]
    refuses: bool = False
    needs_disks: bool = False
    clocks: tuple[float, ...] = (0.0,)


NATS, STORE, ENRICH = "nats-server", "ClickHouse", "enrich"
FAULTS = (
    Fault("nats-stopped", NATS, "stopped, and away", "started", REFUSED, acts_broker.stopped, refuses=True),
    Fault("nats-killed", NATS, "kill -9, twice", ITSELF, BRIEFLY, acts_broker.killed),
    Fault("nats-hangs", NATS, "SIGSTOP", "SIGCONT", REFUSED, acts_broker.hangs, refuses=True),
    Fault("nats-answers-lost", NATS, "connections cut at the acknowledgement", "the cutting ends", "202, or 503",
          acts_broker.answers_lost),
    Fault("delivered-five-times", NATS, "every message delivered five times", "the fifth counts", ACCEPTED,
          acts_broker.five_times),
    Fault("stream-full", NATS, "the stream is full: nobody takes from it", "the event source goes on", REFUSED,
          acts_broker.stream_full, refuses=True),
    Fault("nats-disk-full", NATS, "its disk is full", "space is freed", REFUSED, acts_broker.disk_full, refuses=True,
          needs_disks=True),
    Fault("store-stopped", STORE, "stopped, and away", "started", ACCEPTED, acts_store.stopped),
    Fault("store-killed", STORE, "kill -9 in an insert, and between two", ITSELF, ACCEPTED, acts_store.killed),
    Fault("store-slow", STORE, "answers slowly", "answers fast", ACCEPTED, acts_store.slow),
    Fault("store-hangs", STORE, "SIGSTOP, longer than enrich waits", "SIGCONT", ACCEPTED, acts_store.hangs),
    Fault("store-errors", STORE, "answers errors, before and after it stored", "answers well", ACCEPTED,
          acts_store.errors),
    Fault("store-disk-full", STORE, "its disk is full", "space is freed", ACCEPTED, acts_store.disk_full,
          needs_disks=True),
    Fault("enrich-killed", ENRICH, "kill -9 between the insert and the ack", ITSELF, ACCEPTED,
          acts_functions.enrich_killed),
    Fault("event-source-killed", "event source", "kill -9, twice", ITSELF, ACCEPTED,
          acts_functions.event_source_killed),
    Fault("questdb-killed", "QuestDB", "kill -9 while it is told", ITSELF, ACCEPTED, acts_functions.questdb_killed),
    Fault("emulator-killed", "every function", "kill -9 of the emulator", ITSELF, REFUSED,
          acts_functions.emulator_killed, refuses=True),
    Fault("two-schedulers", "measure", "three runs at once, killed when they take long", "the next run", ACCEPTED,
          acts_functions.two_schedulers),
    Fault("poison", "events", "one is refused by the store, one kills enrich, two messages are no envelopes",
          "stored as failed, or dead letters", ACCEPTED, acts_clients.poison),
    Fault("client-clocks", "clients", "clocks a day ahead and a day behind", "corrected", ACCEPTED,
          acts_clients.plain_load, clocks=(DAY, -DAY, 0.0)),
    Fault("half-sent", "clients", "requests half sent, answers not waited for", "the clients are gone", ACCEPTED,
          acts_clients.half_sent),
    Fault("stack-killed", "everything", "kill -9 of all processes and an import", "started again", "no answer",
          acts_everything.stack_killed, refuses=True),
)  # fmt: skip
