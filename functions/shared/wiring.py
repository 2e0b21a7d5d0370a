"""The composition root of what functions share. Each has one of its own; no other file chooses adapters."""

import os
import socket
import time
from functools import cache
from typing import TYPE_CHECKING

from functions.shared.observe import Observer
from functions.shared.settings import (
    KeySettings,
    LimitSettings,
    QueueSettings,
    S,
    SeriesSettings,
    StoreSettings,
    load,
)

if TYPE_CHECKING:
    from functions.measure.database import Readable
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader
    from functions.shared.gate import Gate
    from functions.shared.ports import Depth, KeySource, Queue, SeriesStore
    from functions.shared.throttle import Throttle


def settings_of(model: type[S]) -> S:
    """A stage's settings. Raises :class:`~functions.shared.errors.Misconfigured`, naming each bad variable."""

    def read(reference: str) -> str:
        from functions.shared.adapters import secret_references

        return secret_references.read(reference)

    return load(model, os.environ, read)


@cache
def observer(stage: str) -> Observer:
    """The observer of a stage."""
    return Observer(stage)


@cache
def host() -> str:
    """Where this runs, as the logs have it: the function's log stream, else the machine's name."""
    stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
    return stream.rpartition("]")[2] or socket.gethostname()


def queue(settings: QueueSettings, max_attempts: int = 5) -> "Queue":
    """The queue that ``WEIR_QUEUE`` names."""
    if settings.queue == "sqs":
        from functions.shared.adapters.sqs_queue import SqsQueue

        return SqsQueue(settings, max_attempts)
    from functions.shared.adapters.nats_queue import NatsQueue

    return NatsQueue(settings, max_attempts)


def slow_queue(settings: QueueSettings, max_attempts: int = 5) -> "Queue":
    """Where events wait that are over their key's rate: a stream of its own, or on SQS a delay."""
    if settings.queue == "sqs":
        from functions.shared.adapters.sqs_queue import SqsQueue

        return SqsQueue(settings, max_attempts, settings.slow_lane_delay_seconds)
    from functions.shared.adapters.nats_names import SLOW
    from functions.shared.adapters.nats_queue import NatsQueue

    return NatsQueue(settings, max_attempts, SLOW)


@cache
def gate(stage: str) -> "Gate":
    """Who lets a stage's requests pass."""
    from functions.shared.gate import Gate
    from functions.shared.key_cache import AGAIN_SECONDS, KeyCache

    settings = settings_of(KeySettings)
    watched = observer(stage)

    def stale(error: Exception) -> None:
        watched.failure(f"the keys of {settings.variable()}", error)
        watched.gauges({"KeysStale": 1})

    source = key_source(settings)
    cached = KeyCache(
        source,
        time.time_ns,
        stale,
        settings.keys_refresh_seconds,
        settings.keys_grace_seconds,
        looked=lambda: watched.gauges({"KeysRead": 1}),
        # To read a file costs no more than to refuse a token does, so a key is good as soon as it is in there.
        unknown_seconds=0.0 if settings.keys == "file" else AGAIN_SECONDS,
    )
    return Gate(cached, throttle(stage))


@cache
def throttle(stage: str) -> "Throttle":
    """Who holds a stage's requests and events against limits."""
    from functions.shared.adapters.limits_counters import LimitsCounters
    from functions.shared.throttle import Throttle

    settings = settings_of(LimitSettings)
    watched = observer(stage)
    return Throttle(
        LimitsCounters(settings.limits_url),
        time.time_ns,
        lambda: watched.gauges({"LimiterAbsent": 1}),
        settings.limits_address_requests_per_second,
        settings.limits_crowded_events_per_second,
    )


def key_source(settings: KeySettings) -> "KeySource":
    """Where ``WEIR_KEYS`` says that the keys are."""
    if settings.keys == "secret":
        from functions.shared.adapters.keys_secret import SecretKeys

        return SecretKeys(settings.keys_reference)
    if settings.keys == "nats":
        from functions.shared.adapters.keys_nats import NatsKeys

        return NatsKeys(settings_of(QueueSettings).nats_url)
    if settings.keys == "inline":
        from functions.shared.adapters.keys_memory import MemoryKeys

        return MemoryKeys(settings.keys_document, fixed=True)
    from functions.shared.adapters.keys_file import FileKeys

    return FileKeys(settings.keys_path)


@cache
def series_store() -> "SeriesStore":
    """Sessions, metrics and anomalies by time, in QuestDB."""
    from functions.shared.adapters.questdb_series import QuestDbSeries

    return QuestDbSeries(settings_of(SeriesSettings))


def depth(settings: QueueSettings, database: "Readable") -> "Depth":
    """What waits, dead letters that lie in the store among it; of the queue alone while the store is away."""
    from functions.measure.replays import listing
    from functions.shared.errors import Retry

    waiting = shared_queue(settings).depth()
    try:
        return listing.with_letters(waiting, database)
    except Retry:
        return waiting


def reader(settings: StoreSettings, seconds: float) -> "ClickHouseReader":
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader

    return ClickHouseReader(
        settings.clickhouse_url,
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.clickhouse_password,
        seconds,
    )


@cache
def shared_queue(settings: QueueSettings) -> "Queue":
    return queue(settings)


@cache
def shared_slow_lane(settings: QueueSettings) -> "Queue":
    return slow_queue(settings)
