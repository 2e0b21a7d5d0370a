"""The composition root: the only file that chooses adapters. Each service is built once a process, on first use."""

import os
import socket
import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.shared.observe import Observer
from functions.shared.settings import (
    AlertSettings,
    CollectSettings,
    KeySettings,
    LimitSettings,
    QueueSettings,
    S,
    SeriesSettings,
    StoreSettings,
    load,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions.collect.service import CollectService
    from functions.enrich.drain import Drain
    from functions.enrich.salts import Salts
    from functions.enrich.service import EnrichService
    from functions.measure.alerts.book import Book
    from functions.measure.alerts.watch import Watch
    from functions.measure.database import Database, Readable
    from functions.measure.erasing.eraser import Eraser
    from functions.measure.erasing.erasures import Erasures
    from functions.measure.identities import Identities
    from functions.measure.judging.replay import Replays
    from functions.measure.lease import Lease
    from functions.measure.ledger.keeper import Keeper
    from functions.measure.replays.book import Book as ReplayBook
    from functions.measure.replays.book import Replay
    from functions.measure.replays.collecting import Collector
    from functions.measure.replays.runner import Runner
    from functions.measure.replays.service import ReplayService
    from functions.measure.service import MeasureService
    from functions.serve.analytics import AnalyticsService
    from functions.serve.service import ServeService
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader
    from functions.shared.gate import Gate
    from functions.shared.ports import AlertSink, DeadMessages, Depth, KeySource, Queue, SeriesStore, Tallies
    from functions.shared.settings.enrich import EnrichSettings
    from functions.shared.settings.measure import MeasureSettings
    from functions.shared.throttle import Throttle
    from schemas.owned.judging import Judge as SchemaJudge
    from schemas.rows import LedgerRow
    from schemas.validation import Validator

_DAY_SECONDS = 86_400


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


@cache
def collect_service() -> "CollectService":
    """Collect, with the queue of the settings."""
    from functions.collect.admission import Admission
    from functions.collect.backlog import Shedder
    from functions.collect.service import CollectService
    from functions.shared.adapters.clickhouse_waiter import Waiter
    from functions.shared.adapters.lambda_preview import LambdaPreview

    settings = settings_of(CollectSettings)
    waiting, slow, watched = queue(settings), slow_queue(settings), observer("collect")
    messages = settings.shed_backlog_messages

    def shed() -> None:
        watched.gauges({"RequestsShed": 1})

    shedder = Shedder(waiting.backlog, messages, settings.shed_backlog_bytes, time.time_ns, shed)
    # On SQS both lanes are one queue.
    slow_shedder = (
        Shedder(slow.backlog, messages, settings.shed_slow_backlog_bytes, time.time_ns, shed)
        if settings.queue == "nats"
        else None
    )

    def dropped(key_id: str, _reason: str, events: int) -> None:
        watched.gauges({"EventsDropped": events}, key_id)

    return CollectService(
        queue=waiting,
        slow_queue=slow,
        admission=Admission(throttle("collect"), shedder, dropped, slow_shedder),
        limits=settings.limits(),
        clock=time.time_ns,
        random_bytes=os.urandom,
        preview=LambdaPreview(settings.enrich_function),
        stored=Waiter(
            lambda event_id, environment: serve_service().event(event_id, environment), settings.wait_stored_seconds
        ),
        host=host(),
        consent=settings.privacy_consent,
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
    from functions.shared.adapters.clickhouse_suppressions import ClickHouseSuppressions
    from functions.shared.adapters.clickhouse_tables import ClickHouseTables
    from functions.shared.settings.enrich import EnrichSettings
    from schemas.validation import Validator

    settings = settings_of(EnrichSettings)
    geo = geo_mmdb.load(Path(settings.geo_path)) if settings.geo_path else None
    return EnrichService(
        store=Recorder(ClickHouseTables(settings), lambda: str(uuid.uuid4())),
        assembler=Assembler(
            Validator(settings.limits()),
            settings.measures.split(","),
            settings.redactor(),
            _schema_judge(settings),
            _salts(settings),
        ),
        steps=build_steps(geo, settings.privacy_address, settings.privacy_visitors == "daily"),
        suppressions=ClickHouseSuppressions(_reader(settings, settings.clickhouse_timeout_seconds)),
        clock=time.time_ns,
        report=observer("enrich").failure,
        host=host(),
    )


def _salts(settings: "EnrichSettings") -> "Salts | None":
    """The days' salts, where visitors are told by the day."""
    if settings.privacy_visitors != "daily":
        return None
    from functions.shared.adapters.clickhouse_salts import ClickHouseSalts

    return ClickHouseSalts(settings, time.time_ns, os.urandom)


def _schema_judge(settings: "EnrichSettings") -> "SchemaJudge":
    """What events are held to, read once; a mistake in it stops the function from starting."""
    from pathlib import Path

    from functions.shared.errors import Misconfigured
    from schemas.owned import registry
    from schemas.owned.judging import Judge

    try:
        return Judge(registry.load(Path(settings.schemas_path) if settings.schemas_path else registry.SHIPPED))
    except registry.RegistryError as error:
        raise Misconfigured(f"WEIR_SCHEMAS_PATH: {error}") from None


@cache
def drain() -> "Drain":
    """The drain of the queue that ``WEIR_QUEUE`` names."""
    from functions.enrich.drain import Drain
    from functions.shared.settings.enrich import EnrichSettings

    settings = settings_of(EnrichSettings)
    waiting = queue(settings, settings.max_attempts)
    return Drain(waiting, enrich_service(), time.monotonic, observer("enrich").failure)


@cache
def slow_drain() -> "Drain | None":
    """The drain of the slow lane, where it is a queue of its own."""
    from functions.enrich.drain import Drain
    from functions.shared.settings.enrich import EnrichSettings

    settings = settings_of(EnrichSettings)
    if settings.queue != "nats":
        return None
    waiting = slow_queue(settings, settings.max_attempts)
    return Drain(waiting, enrich_service(), time.monotonic, observer("enrich").failure)


@cache
def measure_settings() -> "MeasureSettings":
    """The settings of measure."""
    from functions.shared.settings.measure import MeasureSettings

    return settings_of(MeasureSettings)


def measure_service(at_once: bool = False) -> "MeasureService":
    """Measure, for one run: each asks for its turn under an id of its own. ``at_once``: nothing is left to a later."""
    from functions.measure import following
    from functions.measure.doubts import Doubts
    from functions.measure.exporting import SessionExporter
    from functions.measure.judging.judge import Judge
    from functions.measure.judging.progress import Progress
    from functions.measure.lease import MEASURE, Leased, LeasedSeries
    from functions.measure.ledger.check import Check
    from functions.measure.metrics.definitions import load as definitions
    from functions.measure.metrics.plan import Plan
    from functions.measure.metrics.update import Changed, MetricsUpdater
    from functions.measure.replays.tidying import tidy
    from functions.measure.service import MeasureService, Merges
    from functions.measure.stitching.stitcher import Rule, Stitcher

    settings = measure_settings()
    lease, store = _lease(MEASURE)
    database, series = Leased(store, lease), LeasedSeries(series_store(), lease)
    plan = Plan(definitions())
    doubts = {name: Doubts(name, database, store) for name in ("metrics", "sessions", "anomalies")}
    metrics = MetricsUpdater(database, series, plan, time.time_ns, doubts["metrics"])
    again_seconds = 0 if at_once else settings.anomaly_again_seconds
    judge = Judge(
        Progress(database),
        series,
        plan,
        _replays(),
        time.time_ns,
        settings.anomaly_settle_seconds,
        again_seconds,
        doubts["anomalies"],
    )
    stitcher = Stitcher(
        database,
        lease,
        lambda sql, given, attempts: metrics.note(Changed(sql, given, attempts)),
        Rule(
            settings.session_gap_seconds, settings.session_longest_seconds, settings.measure_horizon_days * _DAY_SECONDS
        ),
        settings.measure_step_events,
    )
    return MeasureService(
        database,
        lease,
        stitcher,
        merges=Merges(following.merging(metrics, metrics.merge_arrived), following.merging(metrics, metrics.merge)),
        following={
            "metrics": following.metrics(metrics),
            "anomalies": following.anomalies(judge),
            "dead_letters": following.dead_letters(
                collector(), lambda: tidy(database, settings.retention_resolved_days, time.time_ns())
            ),
            "ledger": following.ledger(keeper(settings), Check(database, time.time_ns)),
            "alerts": following.alerts(alert_watch(database)),
            "replays": following.replays(replay_runner(), settings.replay_run_seconds, time.monotonic),
        },
        beside={"export": following.sessions(SessionExporter(database, series, doubts["sessions"]))},
        clock=time.time_ns,
        new_id=lambda: str(uuid.uuid4()),
    )


@cache
def keeper(settings: "MeasureSettings") -> "Keeper":
    """Takes tallies to the ledger. Over SQS they travel with the events, and enrich writes them down."""
    from functions.measure.ledger.keeper import Keeper
    from functions.shared.adapters.no_tallies import NoTallies

    waiting: Tallies = NoTallies()
    if settings.queue == "nats":
        from functions.shared.adapters.nats_tallies import NatsTallies

        waiting = NatsTallies(settings)
    return Keeper(waiting, _noting(settings), time.time_ns)


def _noting(settings: "MeasureSettings") -> "Callable[[Sequence[LedgerRow]], None]":
    """What writes into the ledger."""
    from functions.enrich.refusal import note_all
    from functions.shared.adapters.clickhouse_tables import ClickHouseTables
    from functions.shared.domain import ids

    tables = ClickHouseTables(settings)
    return lambda rows: note_all(tables, ids.NIL, rows)


def dead_messages(settings: QueueSettings) -> "DeadMessages":
    """Where the broker that ``WEIR_QUEUE`` names keeps what was given up."""
    if settings.queue == "sqs":
        from functions.shared.adapters.sqs_dead_letters import SqsDeadLetters

        return SqsDeadLetters(settings)
    from functions.shared.adapters.nats_dead_letters import NatsDeadLetters

    return NatsDeadLetters(settings)


@cache
def _dead_messages() -> "DeadMessages":
    return dead_messages(measure_settings())


def collector() -> "Collector":
    """What makes rows of dead letters."""
    from functions.measure.replays.collecting import Collector
    from functions.measure.replays.refusing import Refusals
    from functions.shared.adapters.clickhouse_suppressions import ClickHouseSuppressions

    settings = measure_settings()
    reader = _reader(settings, settings.clickhouse_timeout_seconds)
    refusals = Refusals(ClickHouseSuppressions(reader).current, measured_store(), _noting(settings))
    return Collector(_dead_messages(), measured_store(), settings.redactor(), refusals)


def replay_runner(watch: "Callable[[Replay], None]" = lambda _: None) -> "Runner":
    """What does replays, for one run."""
    from functions.measure.replays.runner import Clock, Runner

    settings = measure_settings()
    store = measured_store()

    clock = Clock(time.monotonic, time.sleep)
    return Runner(store, _replay_book(store), _queue(settings), _replay_lease, clock, watch)


def _replay_lease() -> "Lease":
    from functions.measure.lease import REPLAY

    return _lease(REPLAY)[0]


def _lease(kind: str) -> "tuple[Lease, ClickHouseBatch]":
    """A turn to ask for, under an id of its own, and a store whose statements carry that id."""
    from functions.measure.lease import Lease, comment
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings, lease_id = measure_settings(), str(uuid.uuid4())
    store = ClickHouseBatch(settings, own={"log_comment": comment(lease_id, kind)})
    return Lease(store, lease_id, time.time_ns, time.sleep, settings.measure_lease_seconds, kind), store


def _replay_book(database: "Database") -> "ReplayBook":
    from functions.measure.replays.book import Book

    return Book(database, time.time_ns, lambda: str(uuid.uuid4()))


@cache
def replay_service() -> "ReplayService":
    """What operators ask of replays."""
    from functions.measure.replays.service import ReplayService
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = settings_of(CollectSettings)
    database = ClickHouseBatch(settings, settings.clickhouse_timeout_seconds)

    def new_validator() -> "Validator":
        from schemas.validation import Validator

        return Validator(settings.limits())

    return ReplayService(database, _replay_book(database), new_validator)


def alert_watch(database: "Database") -> "Watch":
    """The alerts, over the stores, the queue, and the routes of the settings."""
    from functions.measure.alerts import rules_file
    from functions.measure.alerts.book import Book
    from functions.measure.alerts.courier import Courier
    from functions.measure.alerts.readings import Readings
    from functions.measure.alerts.watch import Watch
    from functions.measure.metrics.definitions import load as definitions

    settings = measure_settings()
    rules = rules_file.load(definitions(), rules_file.path(settings.alerts_path))
    book = Book(database, time.time_ns)
    courier = Courier(book, alert_sinks(), time.time_ns, settings.alerts_give_up_seconds, settings.environment)
    return Watch(
        rules, Readings(series_store(), database, lambda: _depth(settings, database)), book, courier, time.time_ns
    )


@cache
def alert_sinks() -> dict[str, "AlertSink"]:
    """The routes that are set up, by name."""
    from pathlib import Path

    from functions.shared.adapters.file_sink import FileSink
    from functions.shared.adapters.sns_sink import SnsSink
    from functions.shared.adapters.webhook_sink import WebhookSink

    settings = settings_of(AlertSettings)
    found: dict[str, AlertSink] = {}
    if settings.alerts_sns_topic_arn:
        found["sns"] = SnsSink(settings.alerts_sns_topic_arn)
    if settings.alerts_webhook_url:
        found["webhook"] = WebhookSink(settings.alerts_webhook_url, settings.alerts_webhook_timeout_seconds)
    if settings.alerts_file:
        found["file"] = FileSink(Path(settings.alerts_file))
    return found


@cache
def alert_book() -> "Book":
    """What is known of alerts, and what operators say of them."""
    from functions.measure.alerts.book import Book
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    return Book(ClickHouseBatch(settings_of(StoreSettings)), time.time_ns)


def standing() -> dict[str, float]:
    """How the whole of it stands, by the names of metrics."""
    from functions.measure.standing import standing as measured

    settings, store = measure_settings(), measured_store()
    return measured(store, lambda: _depth(settings, store), lambda: _queue(settings).oldest_at(), time.time_ns)


@cache
def measured_store() -> "ClickHouseBatch":
    """The event store as the batches read it."""
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    return ClickHouseBatch(measure_settings())


@cache
def _replays() -> "Replays":
    from functions.measure.judging.replay import Replays

    return Replays()


@cache
def identities() -> "Identities":
    """What operators say of visitors."""
    from functions.measure.identities import Identities
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = settings_of(StoreSettings)
    return Identities(ClickHouseBatch(settings, settings.clickhouse_timeout_seconds), time.time_ns)


@cache
def erasures() -> "Erasures":
    """Who is to be forgotten."""
    from functions.measure.erasing.erasures import Bounds, Erasures
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
    from functions.shared.settings.privacy import PrivacySettings

    settings, privacy = settings_of(StoreSettings), settings_of(PrivacySettings)
    return Erasures(
        ClickHouseBatch(settings, settings.clickhouse_timeout_seconds),
        time.time_ns,
        lambda: str(uuid.uuid4()),
        privacy.redactor().user,
        Bounds(privacy.privacy_stream_days, privacy.privacy_backup_days),
    )


def eraser(run_seconds: float, wait_seconds: float = 0.0) -> "Eraser":
    """What forgets them. The batches it runs may work for so long, and wait so long for their turn."""
    from functions.measure.doubts import Doubts
    from functions.measure.erasing.disk import Disk
    from functions.measure.erasing.eraser import Eraser, Turn
    from functions.measure.erasing.replay_requests import ReplayRequests
    from functions.measure.erasing.tombstones import Tombstones
    from functions.measure.lease import MEASURE, Leased
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = measure_settings()
    database = ClickHouseBatch(settings)

    def turn() -> Turn:
        lease, store = _lease(MEASURE)
        held = Leased(store, lease)
        return Turn(lease, held, Doubts("sessions", held, store))

    return Eraser(
        database,
        erasures(),
        Disk(database),
        Tombstones(series_store()),
        ReplayRequests(database, _replay_book(database), _replay_lease),
        lambda: measure_service(at_once=True).run(run_seconds, wait_seconds),
        turn,
        time.time_ns,
    )


@cache
def analytics_service() -> "AnalyticsService":
    """Serve's answers about what the batches computed, from ClickHouse and QuestDB."""
    from functions.measure.metrics.definitions import load as definitions
    from functions.serve.analytics import AnalyticsService
    from functions.shared.settings.serve import ServeSettings

    settings = settings_of(ServeSettings)
    return AnalyticsService(
        _reader(settings, settings.query_timeout_seconds),
        series_store(),
        definitions(),
        time.time_ns,
        settings.page_bytes,
    )


@cache
def serve_service() -> "ServeService":
    """Serve, reading from ClickHouse."""
    from functions.serve.service import ServeService
    from functions.serve.views import probing
    from functions.shared.settings.serve import ServeSettings

    settings = settings_of(ServeSettings)
    reader = _reader(settings, settings.query_timeout_seconds)

    probes = [
        probing("clickhouse", reader.ping),
        probing("questdb", lambda: series_store().ping()),
        probing(settings.queue, lambda: _queue(settings).depth()),
    ]
    return ServeService(
        reader,
        lambda: _depth(settings, reader),
        probes,
        time.time_ns,
        settings.page_bytes,
        settings.queue,
        oldest_at=lambda: _queue(settings).oldest_at(),
        slow_lane=lambda: (_slow_lane(settings).depth(), _slow_lane(settings).oldest_at()),
    )


def _depth(settings: QueueSettings, database: "Readable") -> "Depth":
    """What waits, dead letters that lie in the store among it; of the queue alone while the store is away."""
    from functions.measure.replays import listing
    from functions.shared.errors import Retry

    waiting = _queue(settings).depth()
    try:
        return listing.with_letters(waiting, database)
    except Retry:
        return waiting


def _reader(settings: StoreSettings, seconds: float) -> "ClickHouseReader":
    from functions.shared.adapters.clickhouse_reader import ClickHouseReader

    return ClickHouseReader(
        settings.clickhouse_url,
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.clickhouse_password,
        seconds,
    )


@cache
def _queue(settings: QueueSettings) -> "Queue":
    return queue(settings)


@cache
def _slow_lane(settings: QueueSettings) -> "Queue":
    return slow_queue(settings)
