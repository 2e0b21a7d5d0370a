"""Chooses the adapters of erasing people."""

import time
import uuid
from functools import cache
from typing import TYPE_CHECKING

from functions.measure.replays.wiring import replay_book, replay_lease
from functions.measure.wiring import lease_of, measure_service, measure_settings
from functions.shared import wiring
from functions.shared.settings import StoreSettings

if TYPE_CHECKING:
    from functions.measure.erasing.eraser import Eraser
    from functions.measure.erasing.erasures import Erasures


@cache
def erasures() -> "Erasures":
    """Who is to be forgotten."""
    from functions.measure.erasing.erasures import Bounds, Erasures
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
    from functions.shared.settings.privacy import PrivacySettings

    settings, privacy = wiring.settings_of(StoreSettings), wiring.settings_of(PrivacySettings)
    return Erasures(
        ClickHouseBatch(settings, settings.clickhouse_timeout_seconds),
        time.time_ns,
        lambda: str(uuid.uuid4()),
        privacy.redactor().user,
        Bounds(privacy.privacy_stream_days, privacy.privacy_backup_days),
    )


def eraser(run_seconds: float, wait_seconds: float = 0.0) -> "Eraser":
    """What forgets them. The batches it runs may work for so long, and wait so long for their turn."""
    from functions.measure.erasing.disk import Disk
    from functions.measure.erasing.eraser import Eraser, Turn
    from functions.measure.erasing.replay_requests import ReplayRequests
    from functions.measure.erasing.tombstones import Tombstones
    from functions.measure.lease import MEASURE, Leased
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    settings = measure_settings()
    database = ClickHouseBatch(settings)

    def turn() -> Turn:
        lease, store = lease_of(MEASURE)
        return Turn(lease, Leased(store, lease))

    return Eraser(
        database,
        erasures(),
        Disk(database),
        Tombstones(wiring.series_store()),
        ReplayRequests(database, replay_book(database), replay_lease),
        lambda: measure_service(at_once=True).run(run_seconds, wait_seconds),
        turn,
        time.time_ns,
    )
