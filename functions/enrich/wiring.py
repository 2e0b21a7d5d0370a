"""Chooses the adapters of enrich and of the drains of its queues, on first use and once a process."""

import os
import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.shared import wiring

if TYPE_CHECKING:
    from functions.enrich.drain import Drain
    from functions.enrich.salts import Salts
    from functions.enrich.service import EnrichService
    from functions.shared.settings.enrich import EnrichSettings
    from schemas.owned.judging import Judge as SchemaJudge


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

    settings = wiring.settings_of(EnrichSettings)
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
        suppressions=ClickHouseSuppressions(wiring.reader(settings, settings.clickhouse_timeout_seconds)),
        clock=time.time_ns,
        report=wiring.observer("enrich").failure,
        host=wiring.host(),
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

    settings = wiring.settings_of(EnrichSettings)
    waiting = wiring.queue(settings, settings.max_attempts)
    return Drain(waiting, enrich_service(), time.monotonic, wiring.observer("enrich").failure)


@cache
def slow_drain() -> "Drain | None":
    """The drain of the slow lane, where it is a queue of its own."""
    from functions.enrich.drain import Drain
    from functions.shared.settings.enrich import EnrichSettings

    settings = wiring.settings_of(EnrichSettings)
    if settings.queue != "nats":
        return None
    waiting = wiring.slow_queue(settings, settings.max_attempts)
    return Drain(waiting, enrich_service(), time.monotonic, wiring.observer("enrich").failure)
