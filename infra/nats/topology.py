"""The streams and the consumer, as data, and the one call that makes a server agree with it.

``python -m infra.nats.topology`` does it from the ``WEIR_NATS_*`` settings. Safe to run twice and at the same time.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError
from pydantic import Field

from functions.shared.adapters import secret_references
from functions.shared.adapters.nats_names import KEYS_STREAM, NAMES, SLOW
from functions.shared.errors import Misconfigured, QueueUnavailable
from functions.shared.settings import Positive, QueueSettings, load

_TRIES = 5
_TALLIES_PENDING = 20_000
_DUPLICATE_WINDOW_SECONDS = 120.0
_KEYS_BYTES = 1024**2
_KEYS_HISTORY = 16


class TopologySettings(QueueSettings):
    """What of the topology an operator may choose. ``ack_wait`` must exceed the enrich function's timeout.

    There is a bucket for keys only where they are kept in NATS: a server may have no room to spare.
    """

    keys: str = "file"

    nats_replicas: Annotated[int, Field(ge=1, le=5)] = 1
    nats_stream_max_bytes: Positive = 8 * 1024**3
    nats_dead_letters_max_bytes: Positive = 2 * 1024**3
    nats_ledger_max_bytes: Positive = 1024**3
    nats_slow_max_bytes: Positive = 1024**3
    nats_ack_wait_seconds: Annotated[float, Field(gt=0)] = 90.0
    nats_max_ack_pending: Positive = 1000


def events(settings: TopologySettings) -> api.StreamConfig:
    """What was accepted and is not yet enriched. An acknowledged message goes; nothing goes for age or for room."""
    return api.StreamConfig(
        name=NAMES.stream,
        description="Batches of events on their way from collect to enrich.",
        subjects=[NAMES.subject],
        retention=api.RetentionPolicy.WORK_QUEUE,
        max_bytes=settings.nats_stream_max_bytes,
        # What is stored is told of, without its events: the broker is a witness of what it holds.
        republish=api.RePublish(src=NAMES.subject, dest=NAMES.ledger_subject, headers_only=True),
        **_durable(settings),
    )


def slow(settings: TopologySettings) -> api.StreamConfig:
    """What was accepted of keys that are over their rate, until there is time for it."""
    return api.StreamConfig(
        name=SLOW.stream,
        description="Batches of keys over their rate, on their way from collect to enrich.",
        subjects=[SLOW.subject],
        retention=api.RetentionPolicy.WORK_QUEUE,
        max_bytes=settings.nats_slow_max_bytes,
        republish=api.RePublish(src=SLOW.subject, dest=NAMES.ledger_subject, headers_only=True),
        **_durable(settings),
    )


def dead_letters(settings: TopologySettings) -> api.StreamConfig:
    """What was given up after the last try, with its cause. Stays until somebody removes it."""
    return api.StreamConfig(
        name=NAMES.dead_stream,
        description="Batches that enrich could not take, with Weir-Cause and Weir-Attempts.",
        subjects=[NAMES.dead_subject],
        retention=api.RetentionPolicy.LIMITS,
        max_bytes=settings.nats_dead_letters_max_bytes,
        **_durable(settings),
    )


def keys_bucket(settings: TopologySettings) -> api.StreamConfig:
    """The bucket of the keys' document, as a client of key-value buckets would make it, with what it was before."""
    return api.StreamConfig(
        name=KEYS_STREAM,
        description="The keys, where WEIR_KEYS=nats says so.",
        subjects=["$KV.weir_keys.>"],
        retention=api.RetentionPolicy.LIMITS,
        max_msgs_per_subject=_KEYS_HISTORY,
        max_bytes=_KEYS_HISTORY * _KEYS_BYTES,
        max_msg_size=_KEYS_BYTES,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
        # A full bucket lets go of its history.
        **{**_durable(settings), "discard": api.DiscardPolicy.OLD},
    )


def tallies(settings: TopologySettings) -> api.StreamConfig:
    """The headers of what was stored, until the ledger has them. When there is no room the oldest go: no event is lost.

    They are flushed by the server in its own time, where it is alone: nothing waits for them. Kept for the
    consumer, and not as a queue, so that one word can settle many.
    """
    return api.StreamConfig(
        name=NAMES.ledger_stream,
        description="Tallies of stored messages on their way to the ledger.",
        subjects=[NAMES.ledger_subject],
        retention=api.RetentionPolicy.INTEREST,
        max_bytes=settings.nats_ledger_max_bytes,
        persist_mode=api.PersistMode.ASYNC if settings.nats_replicas == 1 else None,
        **{**_durable(settings), "discard": api.DiscardPolicy.OLD},
    )


def ledger_consumer(settings: TopologySettings) -> api.ConsumerConfig:
    """Who takes the tallies: one acknowledgement is for all that came before."""
    return api.ConsumerConfig(
        durable_name=NAMES.ledger_consumer,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.ALL,
        ack_wait=settings.nats_ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=_TALLIES_PENDING,
        num_replicas=settings.nats_replicas,
    )


def consumer(settings: TopologySettings, name: str = NAMES.consumer) -> api.ConsumerConfig:
    """Who takes the events. Tries have no end here: the event source writes the dead letter, with its cause."""
    return api.ConsumerConfig(
        durable_name=name,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=settings.nats_ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=settings.nats_max_ack_pending,
        num_replicas=settings.nats_replicas,
    )


async def ensure_topology(url: str, settings: TopologySettings | None = None) -> None:
    """Make the server hold exactly the declared topology, keeping every message.

    Raises :class:`QueueUnavailable` when the server does not answer, :class:`Misconfigured` when something that
    exists differs in a way the server does not let us change.
    """
    declared = settings or load(TopologySettings, os.environ, secret_references.read)
    client = Client()
    try:
        servers = [each.strip() for each in url.split(",")]
        await client.connect(
            servers,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=3,
            error_cb=_ignore,
        )
        jetstream = client.jetstream()
        buckets = [keys_bucket(declared)] if declared.keys == "nats" else []
        for config in (tallies(declared), events(declared), slow(declared), dead_letters(declared), *buckets):
            await _ensure_stream(jetstream, config)
        await _ensure_consumer(jetstream, NAMES.stream, consumer(declared))
        await _ensure_consumer(jetstream, SLOW.stream, consumer(declared, SLOW.consumer))
        await _ensure_consumer(jetstream, NAMES.ledger_stream, ledger_consumer(declared))
    except APIError:
        raise
    except (NatsError, OSError, TimeoutError) as error:
        raise QueueUnavailable(f"NATS cannot be reached: {error or type(error).__name__}") from error
    finally:
        await client.close()


def _durable(settings: TopologySettings) -> dict[str, Any]:
    return {
        "storage": api.StorageType.FILE,
        # discard=old would drop acknowledged events when the stream is full; new refuses the next publish instead.
        "discard": api.DiscardPolicy.NEW,
        "max_age": 0,
        "max_msgs": -1,
        "max_consumers": -1,
        "num_replicas": settings.nats_replicas,
        "duplicate_window": _DUPLICATE_WINDOW_SECONDS,
    }


async def _ensure_stream(jetstream: JetStreamContext, config: api.StreamConfig) -> None:
    name = str(config.name)

    async def attempt() -> None:
        try:
            info = await jetstream.stream_info(name)
        except NotFoundError:
            await jetstream.add_stream(config)
            return
        if _differs(config, info.config):
            await jetstream.update_stream(config)

    await _agree(f"stream {name}", attempt)


async def _ensure_consumer(jetstream: JetStreamContext, stream: str, config: api.ConsumerConfig) -> None:
    async def attempt() -> None:
        try:
            info = await jetstream.consumer_info(stream, str(config.durable_name))
        except NotFoundError:
            info = None
        if info is None or _differs(config, info.config):
            await jetstream.add_consumer(stream, config)

    await _agree(f"consumer {config.durable_name}", attempt)


async def _agree(what: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Look and change until it agrees: between the two, another process may have done the same."""
    for tries_left in reversed(range(_TRIES)):
        try:
            await attempt()
        except APIError as error:
            if not tries_left:
                raise Misconfigured(
                    f"NATS: the {what} cannot be made what Weir declares: {error.description}"
                ) from error
            await asyncio.sleep(0.05)
        else:
            return


def _differs(declared: Any, existing: Any) -> bool:
    """Whether a declared value differs; what is not declared is the server's to choose."""
    wanted, found = declared.as_dict(), existing.as_dict()
    return any(value is not None and found.get(name, value) != value for name, value in wanted.items())


async def _ignore(_: Exception) -> None:
    """The error is raised by the call that met it."""


def main() -> int:
    """Create or update the topology of the server at WEIR_NATS_URL."""
    try:
        settings = load(TopologySettings, os.environ, secret_references.read)
        asyncio.run(ensure_topology(settings.nats_url, settings))
    except (Misconfigured, QueueUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
