"""The settings of measure."""

from typing import Annotated

from pydantic import Field

from functions.shared.settings import AlertSettings, Days, Positive, QueueSettings, SeriesSettings, StoreSettings
from functions.shared.settings.privacy import PrivacySettings


class MeasureSettings(QueueSettings, StoreSettings, SeriesSettings, AlertSettings, PrivacySettings):
    """The settings of measure. A session ends after a pause, and at a length; the rest bounds a step and a run.

    Metrics follow what changes as far as the horizon, counted from the newest event; a rebuild goes further.
    """

    session_gap_seconds: Positive = 1_800
    session_longest_seconds: Positive = 86_400
    measure_horizon_days: Annotated[int, Field(gt=0, le=36_500)] = 30
    measure_step_events: Positive = 1_000_000
    measure_run_seconds: Positive = 240
    measure_lease_seconds: Annotated[float, Field(gt=0)] = 30.0
    # Dead letters that were resolved go after so many days; 0 is never. Others stay.
    retention_resolved_days: Days = 30
    replay_run_seconds: Annotated[int, Field(ge=0)] = 40
    anomaly_settle_seconds: Annotated[int, Field(ge=0)] = 120
    anomaly_again_seconds: Annotated[int, Field(ge=0)] = 600
