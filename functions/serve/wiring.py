"""Chooses the adapters of serve, on first use and once a process."""

import time
from functools import cache
from typing import TYPE_CHECKING

from functions.shared import wiring

if TYPE_CHECKING:
    from functions.serve.analytics import AnalyticsService
    from functions.serve.service import ServeService


@cache
def analytics_service() -> "AnalyticsService":
    """Serve's answers about what the batches computed, from ClickHouse and QuestDB."""
    from functions.measure.metrics.definitions import load as definitions
    from functions.serve.analytics import AnalyticsService
    from functions.shared.settings.serve import ServeSettings

    settings = wiring.settings_of(ServeSettings)
    return AnalyticsService(
        wiring.reader(settings, settings.query_timeout_seconds),
        wiring.series_store(),
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

    settings = wiring.settings_of(ServeSettings)
    reader = wiring.reader(settings, settings.query_timeout_seconds)

    probes = [
        probing("clickhouse", reader.ping),
        probing("questdb", lambda: wiring.series_store().ping()),
        probing(settings.queue, lambda: wiring.shared_queue(settings).depth()),
    ]
    return ServeService(
        reader,
        lambda: wiring.depth(settings, reader),
        probes,
        time.time_ns,
        settings.page_bytes,
        settings.queue,
        oldest_at=lambda: wiring.shared_queue(settings).oldest_at(),
        slow_lane=lambda: (wiring.shared_slow_lane(settings).depth(), wiring.shared_slow_lane(settings).oldest_at()),
    )
