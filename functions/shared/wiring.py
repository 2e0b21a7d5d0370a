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
    MeasureSettings,
    QueueSettings,
    SeriesSettings,
    ServeSettings,
    StoreSettings,
    load,
)

if TYPE_CHECKING:
    from functions.collect.service import CollectService
    from functions.enrich.service import EnrichService
    from functions.measure.identities import Identities
    from functions.measure.service import MeasureService
    from functions.serve.analytics import AnalyticsService
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
def measure_settings() -> MeasureSettings:
    """The settings of measure."""
    return load(MeasureSettings, os.environ)


def measure_service() -> "MeasureService":
    """Measure, for one run: each asks for its turn under an id of its own."""
    from functions.measure.exporting import SessionExporter
    from functions.measure.lease import Lease, Leased, comment
    from functions.measure.metrics.compile import Plan
    from functions.measure.metrics.definitions import load as definitions
    from functions.measure.metrics.update import Changed, MetricsUpdater
    from functions.measure.service import MeasureService
    from functions.measure.stitching.stitcher import Stitcher
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = measure_settings()
    lease_id = str(uuid.uuid4())
    store = ClickHouseBatch(settings, own={"log_comment": comment(lease_id)})
    lease = Lease(store, lease_id, time.time_ns, time.sleep, settings.measure_lease_seconds)
    database = Leased(store, lease)
    metrics = MetricsUpdater(database, series_store(), Plan(definitions()), time.time_ns)
    stitcher = Stitcher(
        database,
        lease,
        lambda sql, given: metrics.note(Changed(sql, given)),
        settings.session_gap_seconds,
        settings.session_longest_seconds,
        settings.measure_step_events,
    )
    exporter = SessionExporter(database, series_store())
    return MeasureService(database, lease, stitcher, metrics, exporter, time.time_ns, lambda: str(uuid.uuid4()))


@cache
def identities() -> "Identities":
    """What operators say of visitors."""
    from functions.measure.identities import Identities
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    return Identities(ClickHouseBatch(load(StoreSettings, os.environ)), lambda: str(uuid.uuid4()), time.time_ns)


@cache
def analytics_service() -> "AnalyticsService":
    """Serve's answers about what the batches computed, from ClickHouse and QuestDB."""
    from functions.measure.metrics.definitions import load as definitions
    from functions.serve.analytics import AnalyticsService
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader

    settings = load(ServeSettings, os.environ)
    reader = ClickHouseReader(
        settings.clickhouse_url,
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.clickhouse_password,
        settings.query_timeout_seconds,
    )
    return AnalyticsService(reader, series_store(), definitions(), time.time_ns)


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
