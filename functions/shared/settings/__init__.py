"""Settings: one typed model a stage, read from ``WEIR_*`` variables at cold start.

A missing or bad one stops the function from starting and is named in the error. Each may be given by reference:
``WEIR_CLICKHOUSE_PASSWORD_SECRET`` says where the value of ``WEIR_CLICKHOUSE_PASSWORD`` is kept, and goes before it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from functions.shared.domain import consent, webhooks
from functions.shared.errors import Misconfigured
from schemas.limits import Limits

PREFIX = "WEIR_"
REFERENCE = "_SECRET"
_DEFAULT = Limits()
Positive = Annotated[int, Field(gt=0)]
Days = Annotated[int, Field(ge=0, le=36_500)]


class _Settings(BaseModel):
    # A stage builds its own model, on first use; the others' would cost each cold start.
    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, defer_build=True)


class QueueSettings(_Settings):
    """Where messages go."""

    queue: Literal["nats", "sqs"] = "nats"
    nats_url: Annotated[str, Field(repr=False)] = "nats://127.0.0.1:4222"
    sqs_queue_url: str = ""
    sqs_dead_letter_url: str = ""
    # What of a key is over its rate comes so much later, on SQS; NATS has a stream for it.
    slow_lane_delay_seconds: Annotated[int, Field(ge=1, le=900)] = 60
    publish_timeout_seconds: Annotated[float, Field(gt=0, le=3)] = 2.0
    max_message_bytes: Positive = 4 * 1024 * 1024


class StoreSettings(_Settings):
    """Where rows go, and how to get there."""

    clickhouse_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")] = "http://127.0.0.1:8123"
    clickhouse_database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "weir"
    clickhouse_cluster: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    clickhouse_user: str = "default"
    clickhouse_password: Annotated[str, Field(repr=False)] = ""
    clickhouse_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0


class RetentionSettings(_Settings):
    """For how many days ClickHouse keeps rows; 0 is for ever. Events count from when they were received."""

    retention_events_days: Days = 0
    retention_deliveries_days: Days = 0
    retention_sessions_days: Days = 0
    retention_metrics_days: Days = 0
    retention_dead_letters_days: Days = 0


class SeriesSettings(_Settings):
    """Where sessions, metrics and anomalies are kept. The user is that of both of QuestDB's protocols."""

    questdb_url: Annotated[str, Field(pattern=r"^https?://[^/\s;]+/?$")] = "http://127.0.0.1:9000"
    questdb_pg_port: Annotated[int, Field(gt=0, lt=65536)] = 8812
    questdb_user: str = "admin"
    questdb_password: Annotated[str, Field(repr=False)] = "quest"  # noqa: S105  QuestDB's own
    questdb_ttl_days: Annotated[int, Field(ge=0)] = 0
    questdb_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
    questdb_retry_seconds: Annotated[float, Field(ge=0)] = 5.0


class ConsentSettings(_Settings):
    """What becomes of events of people who refuse to be observed (docs/privacy.md)."""

    privacy_consent: consent.Mode = "off"


class KeySettings(_Settings):
    """Where the keys are kept: a file, a secret (an ARN or a parameter's name), NATS, or this very setting.

    A change is effective once the copy in hand is older than ``keys_refresh_seconds``. While the source is away, that
    copy is good for ``keys_grace_seconds``.
    """

    keys: Literal["file", "secret", "nats", "inline"] = "file"
    keys_path: str = ""
    keys_reference: str = ""
    keys_document: Annotated[str, Field(repr=False)] = ""
    keys_refresh_seconds: Annotated[float, Field(ge=0, le=30)] = 20.0
    keys_grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 3600.0

    def variable(self) -> str:
        """What says where they are."""
        if self.keys == "secret":
            return f"{PREFIX}KEYS_REFERENCE"
        return PREFIX + {"file": "KEYS_PATH", "nats": "KEYS", "inline": "KEYS_DOCUMENT"}[self.keys]


class LimitSettings(_Settings):
    """Who counts requests and events (Redis or Valkey; empty is each process by itself), and what an address may ask.

    What keys may do is said of each key. While more than three quarters of the queue's bound wait, each is besides held
    to ``limits_crowded_events_per_second``, and to less the less room is left; 0 is no limit.
    """

    limits_url: Annotated[
        str, Field(repr=False, pattern=r"^(memory://|(redis|valkey)(s|\+(unix|cluster|sentinel))?://\S+)?$")
    ] = ""
    limits_address_requests_per_second: Annotated[int, Field(ge=0)] = 0
    limits_crowded_events_per_second: Annotated[int, Field(ge=0)] = 100


class CollectSettings(QueueSettings, StoreSettings, ConsentSettings):
    """The settings of collect."""

    enrich_function: str = "enrich"
    # Just below what the stream holds by default: then the broker refuses. 0 is no bound.
    shed_backlog_messages: Annotated[int, Field(ge=0)] = 1_000_000
    shed_backlog_bytes: Annotated[int, Field(ge=0)] = 7 * 1024**3
    shed_slow_backlog_bytes: Annotated[int, Field(ge=0)] = 7 * 1024**3 // 8
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


class AlertSettings(_Settings):
    """Which rules there are, and by which routes people are told; a route that is not set is none."""

    environment: str = "local"
    alerts_path: str = ""
    alerts_sns_topic_arn: Annotated[str, Field(pattern=r"^(arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]*:[A-Za-z0-9_.-]+)?$")] = ""
    alerts_webhook_url: Annotated[str, Field(repr=False), AfterValidator(webhooks.checked)] = ""
    alerts_webhook_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    alerts_file: str = ""
    alerts_give_up_seconds: Positive = 21_600


S = TypeVar("S", bound=_Settings)
Read = Callable[[str], str]
# Without these there is nothing to talk to: an empty one was forgotten, and is not the laptop's.
_ADDRESSES = frozenset({"clickhouse_url", "questdb_url"})


def _unread(_: str) -> str:
    raise Misconfigured("references to secrets are not read here; give the value itself")


def load(model: type[S], environment: Mapping[str, str], read: Read = _unread) -> S:
    """Read the model's fields from ``WEIR_*``; ``read`` brings the value that a reference stands for.

    Raises :class:`Misconfigured`, naming each bad variable.
    """
    given = _given(model.model_fields, environment)
    try:
        return model(**given, **_referred(model.model_fields, environment, read))
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{str(detail['loc'][0]).upper()}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise Misconfigured(wrong) from None


def _given(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The plain values. An empty one is none, but for an address."""
    found = {}
    for name in names:
        variable = PREFIX + name.upper()
        value = environment.get(variable, "")
        if not environment.get(variable + REFERENCE) and (value or (name in _ADDRESSES and variable in environment)):
            found[name] = value
    return found


def _referred(names: Iterable[str], environment: Mapping[str, str], read: Read) -> dict[str, str]:
    found = {}
    for name in names:
        variable = PREFIX + name.upper() + REFERENCE
        if reference := environment.get(variable):
            try:
                found[name] = read(reference)
            except Misconfigured as error:
                raise Misconfigured(f"{variable}: {error}") from error
    return found
