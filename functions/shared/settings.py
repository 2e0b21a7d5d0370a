"""Settings: one typed model a stage, read from ``WEIR_*`` variables at cold start.

A missing or bad one stops the function from starting and is named in the error.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.shared.errors import Misconfigured
from schemas.limits import Limits

PREFIX = "WEIR_"
_DEFAULT = Limits()
Positive = Annotated[int, Field(gt=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)


class QueueSettings(_Settings):
    """Where messages go."""

    queue: Literal["nats", "sqs"] = "nats"
    nats_url: str = "nats://127.0.0.1:4222"
    sqs_queue_url: str = ""
    sqs_dead_letter_url: str = ""
    publish_timeout_seconds: Annotated[float, Field(gt=0, le=3)] = 2.0
    max_message_bytes: Positive = 4 * 1024 * 1024


class StoreSettings(_Settings):
    """Where rows go, and how to get there."""

    clickhouse_url: str = "http://127.0.0.1:8123"
    clickhouse_database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "weir"
    clickhouse_cluster: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    clickhouse_user: str = "default"
    clickhouse_password: Annotated[str, Field(repr=False)] = ""
    clickhouse_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0


class SeriesSettings(_Settings):
    """Where sessions, metrics and anomalies are kept. The user is that of both of QuestDB's protocols."""

    questdb_url: Annotated[str, Field(pattern=r"^https?://[^/\s;]+/?$")] = "http://127.0.0.1:9000"
    questdb_pg_port: Annotated[int, Field(gt=0, lt=65536)] = 8812
    questdb_user: str = "admin"
    questdb_password: Annotated[str, Field(repr=False)] = "quest"  # noqa: S105  QuestDB's own
    questdb_ttl_days: Annotated[int, Field(ge=0)] = 0
    questdb_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
    questdb_retry_seconds: Annotated[float, Field(ge=0)] = 5.0


class CollectSettings(QueueSettings, StoreSettings):
    """The settings of collect."""

    enrich_function: str = "enrich"
    wait_stored_seconds: Annotated[float, Field(gt=0, le=10)] = 10.0
    limit_request_bytes: Positive = _DEFAULT.request_bytes
    limit_inflated_bytes: Positive = _DEFAULT.inflated_bytes
    limit_batch_events: Positive = _DEFAULT.batch_events
    limit_event_bytes: Positive = _DEFAULT.event_bytes
    limit_nesting_levels: Annotated[int, Field(gt=0, le=64)] = _DEFAULT.nesting_levels
    limit_key_characters: Positive = _DEFAULT.key_characters
    limit_string_characters: Positive = _DEFAULT.string_characters

    def limits(self) -> Limits:
        """The limits as validation takes them."""
        return Limits(**{name: getattr(self, f"limit_{name}") for name in asdict(_DEFAULT)})


class EnrichSettings(CollectSettings):
    """The settings of enrich: the same limits as collect, and the reference data."""

    geo_path: str = ""
    measures: str = "amount,price,quantity,duration_ms,value"
    max_attempts: Positive = 5


class ServeSettings(QueueSettings, StoreSettings, SeriesSettings):
    """The settings of serve."""

    page_bytes: Positive = 4 * 1024 * 1024
    query_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0


S = TypeVar("S", bound=_Settings)


def load(model: type[S], environment: Mapping[str, str]) -> S:
    """Read the model's fields from ``WEIR_*``. Raises :class:`Misconfigured`, naming each bad variable."""
    given = {
        name: environment[PREFIX + name.upper()]
        for name in model.model_fields
        if environment.get(PREFIX + name.upper())
    }
    try:
        return model(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{str(detail['loc'][0]).upper()}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise Misconfigured(wrong) from None
