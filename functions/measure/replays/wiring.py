"""Chooses the adapters of dead letters and replays."""

import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.measure.wiring import lease_of, measure_settings, measured_store, noting
from functions.shared import wiring
from functions.shared.settings import CollectSettings, QueueSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions.measure.database import Database
    from functions.measure.lease import Lease
    from functions.measure.replays.book import Book as ReplayBook
    from functions.measure.replays.book import Replay
    from functions.measure.replays.collecting import Collector
    from functions.measure.replays.runner import Runner
    from functions.measure.replays.service import ReplayService
    from functions.shared.ports import DeadMessages
    from schemas.validation import Validator


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
    reader = wiring.reader(settings, settings.clickhouse_timeout_seconds)
    refusals = Refusals(ClickHouseSuppressions(reader).current, measured_store(), noting(settings))
    return Collector(_dead_messages(), measured_store(), settings.redactor(), refusals)


def replay_runner(watch: "Callable[[Replay], None]" = lambda _: None) -> "Runner":
    """What does replays, for one run."""
    from functions.measure.replays.runner import Clock, Runner

    settings = measure_settings()
    store = measured_store()

    clock = Clock(time.monotonic, time.sleep)
    return Runner(store, replay_book(store), wiring.shared_queue(settings), replay_lease, clock, watch)


def replay_lease() -> "Lease":
    from functions.measure.lease import REPLAY

    return lease_of(REPLAY)[0]


def replay_book(database: "Database") -> "ReplayBook":
    from functions.measure.replays.book import Book

    return Book(database, time.time_ns, lambda: str(uuid.uuid4()))


@cache
def replay_service() -> "ReplayService":
    """What operators ask of replays."""
    from functions.measure.replays.service import ReplayService
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = wiring.settings_of(CollectSettings)
    database = ClickHouseBatch(settings, settings.clickhouse_timeout_seconds)

    def new_validator() -> "Validator":
        from schemas.validation import Validator

        return Validator(settings.limits())

    return ReplayService(database, replay_book(database), new_validator)
