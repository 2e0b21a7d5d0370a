"""Chooses the adapters of collect, on first use and once a process."""

import os
import time
from functools import cache
from typing import TYPE_CHECKING

from functions.serve.wiring import serve_service
from functions.shared import wiring
from functions.shared.settings import CollectSettings

if TYPE_CHECKING:
    from functions.collect.service import CollectService


@cache
def collect_service() -> "CollectService":
    """Collect, with the queue of the settings."""
    from functions.collect.admission import Admission
    from functions.collect.backlog import Shedder
    from functions.collect.service import CollectService
    from functions.shared.adapters.clickhouse_waiter import Waiter
    from functions.shared.adapters.lambda_preview import LambdaPreview

    settings = wiring.settings_of(CollectSettings)
    waiting, slow, watched = wiring.queue(settings), wiring.slow_queue(settings), wiring.observer("collect")
    messages = settings.shed_backlog_messages

    def shed() -> None:
        watched.gauges({"RequestsShed": 1})

    shedder = Shedder(waiting.backlog, messages, settings.shed_backlog_bytes, time.time_ns, shed)
    # On SQS both lanes are one wiring.queue.
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
        admission=Admission(wiring.throttle("collect"), shedder, dropped, slow_shedder),
        limits=settings.limits(),
        clock=time.time_ns,
        random_bytes=os.urandom,
        preview=LambdaPreview(settings.enrich_function),
        stored=Waiter(
            lambda event_id, environment: serve_service().event(event_id, environment), settings.wait_stored_seconds
        ),
        host=wiring.host(),
        consent=settings.privacy_consent,
    )
