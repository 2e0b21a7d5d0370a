"""The settings of the event source, read from ``WEIR_*`` like those of the functions."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from functions.shared.settings import Positive, QueueSettings

Seconds = Annotated[float, Field(gt=0)]


class EventSourceSettings(QueueSettings):
    """How the event source pulls, invokes and gives up. ``AWS_*`` variables are read by the AWS client itself."""

    enrich_function: str = "enrich"
    # Small messages make up a block that is worth an invocation and an insert; big ones are bounded by their bytes.
    event_source_batch_size: Positive = 100
    event_source_batch_bytes: Positive = 4 * 1024 * 1024
    event_source_window_seconds: Seconds = 0.2
    event_source_concurrency: Positive = 2
    event_source_max_attempts: Positive = 5
    event_source_backoff_seconds: tuple[Seconds, ...] = (1.0, 5.0, 30.0, 120.0)
    event_source_invoke_timeout_seconds: Seconds = 75.0
    event_source_stop_seconds: Seconds = 20.0
    event_source_health_port: Annotated[int, Field(ge=0, le=65535)] = 0

    @field_validator("event_source_backoff_seconds", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """A variable holds the list as ``1,5,30``."""
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    def backoff_seconds(self, tries: int) -> float:
        """How long a message waits after so many failed tries."""
        waits = self.event_source_backoff_seconds
        return waits[min(max(tries, 1), len(waits)) - 1]
