"""Chooses the adapters of the batches, and what each of their steps is made of."""

import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.shared import wiring
from functions.shared.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions.measure.identities import Identities
    from functions.measure.judging.replay import Replays
    from functions.measure.lease import Lease
    from functions.measure.ledger.keeper import Keeper
    from functions.measure.service import MeasureService
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
    from functions.shared.ports import Tallies
    from functions.shared.settings.measure import MeasureSettings
    from schemas.rows import LedgerRow

_DAY_SECONDS = 86_400


@cache
def measure_settings() -> "MeasureSettings":
    """The settings of measure."""
    from functions.shared.settings.measure import MeasureSettings

    return wiring.settings_of(MeasureSettings)


def measure_service(at_once: bool = False) -> "MeasureService":
    """Measure, for one run: each asks for its turn under an id of its own. ``at_once``: nothing is left to a later."""
    from functions.measure import following
    from functions.measure.alerts.wiring import alert_watch
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
    from functions.measure.replays.wiring import collector, replay_runner
    from functions.measure.service import MeasureService, Merges
    from functions.measure.stitching.stitcher import Rule, Stitcher

    settings = measure_settings()
    lease, store = lease_of(MEASURE)
    database, series = Leased(store, lease), LeasedSeries(wiring.series_store(), lease)
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
        lambda sql, given: metrics.note(Changed(sql, given)),
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
    return Keeper(waiting, noting(settings), time.time_ns)


def noting(settings: "MeasureSettings") -> "Callable[[Sequence[LedgerRow]], None]":
    """What writes into the ledger."""
    from functions.enrich.refusal import note_all
    from functions.shared.adapters.clickhouse_tables import ClickHouseTables
    from functions.shared.domain import ids

    tables = ClickHouseTables(settings)
    return lambda rows: note_all(tables, ids.NIL, rows)


def lease_of(kind: str) -> "tuple[Lease, ClickHouseBatch]":
    """A turn to ask for, under an id of its own, and a store whose statements carry that id."""
    from functions.measure.lease import Lease, comment
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings, lease_id = measure_settings(), str(uuid.uuid4())
    store = ClickHouseBatch(settings, own={"log_comment": comment(lease_id, kind)})
    return Lease(store, lease_id, time.time_ns, time.sleep, settings.measure_lease_seconds, kind), store


def standing() -> dict[str, float]:
    """How the whole of it stands, by the names of metrics."""
    from functions.measure.standing import standing as measured

    settings, store = measure_settings(), measured_store()
    return measured(
        store, lambda: wiring.depth(settings, store), lambda: wiring.shared_queue(settings).oldest_at(), time.time_ns
    )


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

    settings = wiring.settings_of(StoreSettings)
    return Identities(ClickHouseBatch(settings, settings.clickhouse_timeout_seconds), time.time_ns)
