"""Chooses the adapters of alerts: where they are told, and what they are about."""

import time
from functools import cache
from typing import TYPE_CHECKING

from functions.measure.wiring import measure_settings
from functions.shared import wiring
from functions.shared.settings import AlertSettings, StoreSettings

if TYPE_CHECKING:
    from functions.measure.alerts.book import Book
    from functions.measure.alerts.watch import Watch
    from functions.measure.database import Database
    from functions.shared.ports import AlertSink


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
        rules,
        Readings(wiring.series_store(), database, lambda: wiring.depth(settings, database)),
        book,
        courier,
        time.time_ns,
    )


@cache
def alert_sinks() -> dict[str, "AlertSink"]:
    """The routes that are set up, by name."""
    from pathlib import Path

    from functions.shared.adapters.file_sink import FileSink
    from functions.shared.adapters.sns_sink import SnsSink
    from functions.shared.adapters.webhook_sink import WebhookSink

    settings = wiring.settings_of(AlertSettings)
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

    return Book(ClickHouseBatch(wiring.settings_of(StoreSettings)), time.time_ns)
