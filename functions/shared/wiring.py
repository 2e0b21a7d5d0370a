"""The composition root: the only file that chooses adapters. Each service is built once a process, on first use."""

import os
import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.shared.observe import Observer
from functions.shared.settings import (
    CollectSettings,
    EnrichSettings,
    QueueSettings,
    SeriesSettings,
    ServeSettings,
    load,
)

if TYPE_CHECKING:
    from functions.collect.service import CollectService
    from functions.enrich.service import EnrichService
    from functions.serve.service import ServeService
    from functions.shared.ports import Depth, Queue, SeriesStore


@cache
def observer(stage: str) -> Observer:
    """The observer of a stage."""
    return Observer(stage)


def queue(settings: QueueSettings) -> "Queue":
    """The queue that ``WEIR_QUEUE`` names."""
    if settings.queue == "sqs":
        from functions.shared.adapters.sqs_queue import SqsQueue

        return SqsQueue(settings)
    from functions.shared.adapters.nats_queue import NatsQueue

    return NatsQueue(settings)


@cache
def series_store() -> "SeriesStore":
    """Sessions, metrics and anomalies by time, in QuestDB."""
    from functions.shared.adapters.questdb_series import QuestDbSeries

    return QuestDbSeries(load(SeriesSettings, os.environ))


@cache
def collect_service() -> "CollectService":
    """Collect, with the queue of the settings."""
    from functions.collect.service import CollectService
    from functions.shared.adapters.clickhouse_waiter import Waiter
    from functions.shared.adapters.lambda_preview import LambdaPreview

    settings = load(CollectSettings, os.environ)
    return CollectService(
        queue=queue(settings),
        limits=settings.limits(),
        clock=time.time_ns,
        random_bytes=os.urandom,
        preview=LambdaPreview(settings.enrich_function),
        stored=Waiter(lambda event_id: serve_service().event(event_id), settings.wait_stored_seconds),
    )


@cache
def enrich_service() -> "EnrichService":
    """Enrich, writing to ClickHouse."""
    from pathlib import Path

    from functions.enrich.assembly import Assembler
    from functions.enrich.pipeline import build_steps
    from functions.enrich.recording import Recorder
    from functions.enrich.service import EnrichService
    from functions.shared.adapters import geo_mmdb
    from functions.shared.adapters.clickhouse_tables import ClickHouseTables
    from schemas.validation import Validator

    settings = load(EnrichSettings, os.environ)
    geo = geo_mmdb.load(Path(settings.geo_path)) if settings.geo_path else None
    return EnrichService(
        store=Recorder(ClickHouseTables(settings), lambda: str(uuid.uuid4())),
        assembler=Assembler(Validator(settings.limits()), settings.measures.split(",")),
        steps=build_steps(geo),
        clock=time.time_ns,
        report=observer("enrich").failure,
    )


@cache
def serve_service() -> "ServeService":
    """Serve, reading from ClickHouse."""
    from functions.serve.service import ServeService
    from functions.serve.views import probing
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader

    settings = load(ServeSettings, os.environ)
    reader = ClickHouseReader(
        settings.clickhouse_url,
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.clickhouse_password,
        settings.query_timeout_seconds,
    )

    def depth() -> "Depth":
        return _queue(settings).depth()

    probes = [
        probing("clickhouse", reader.ping),
        probing("questdb", lambda: series_store().ping()),
        probing(settings.queue, depth),
    ]
    return ServeService(reader, depth, probes, time.time_ns, settings.page_bytes)


@cache
def _queue(settings: QueueSettings) -> "Queue":
    return queue(settings)
