"""The settings of serve."""

from typing import Annotated

from pydantic import Field

from functions.shared.settings import Positive, QueueSettings, SeriesSettings, StoreSettings


class ServeSettings(QueueSettings, StoreSettings, SeriesSettings):
    """The settings of serve."""

    page_bytes: Positive = 4 * 1024 * 1024
    query_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
