"""What a rule may say: one model a kind. Spans are seconds; windows are those of the series."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from functions.measure.alerts.machine import Missing, Pace
from functions.measure.metrics.definitions import IntervalName
from functions.shared.domain.instants import SECOND
from functions.shared.domain.notification import Severity

Operator = Literal[">", ">=", "<", "<=", "==", "!="]
Route = Literal["sns", "webhook", "file"]
Strength = Literal["low", "medium", "high"]
Stage = Literal["stored", "measured"]
Seconds = Annotated[int, Field(ge=0, le=31 * 86_400)]
Windows = Annotated[int, Field(ge=1, le=60)]
_FOUR_HOURS = 14_400


class _Rule(BaseModel):
    """What all kinds have. ``routes`` empty is every route there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    severity: Severity
    summary: Annotated[str, Field(min_length=1, max_length=500)]
    repeat_after_seconds: Seconds = _FOUR_HOURS
    routes: tuple[Route, ...] = ()
    missing: Missing = "keep"

    def pace(self) -> Pace:
        """Its times, for the machine."""
        return Pace(getattr(self, "for_seconds", 0) * SECOND, self.repeat_after_seconds * SECOND)


class MetricRule(_Rule):
    """A metric is over or under a threshold. ``tags`` say of which group, ``by`` makes an alert of each group."""

    kind: Literal["metric"]
    metric: str
    interval: IntervalName
    tags: dict[str, str] = {}
    by: tuple[str, ...] = ()
    op: Operator
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    for_windows: Windows = 1

    def cut(self) -> tuple[str, ...]:
        """The grouping that its series have."""
        return tuple(sorted({*self.tags, *self.by} - {"environment"}))

    def fixed(self) -> dict[str, str]:
        """The tags that all its alerts have: of live keys unless said otherwise."""
        return {"environment": "live", **self.tags}

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"{self.metric} at {self.interval} {self.op} {self.threshold:g}, for {_windows(self.for_windows)}"


class AnomalyRule(_Rule):
    """A series is not as expected. Without ``metric`` any that is judged and is no data-quality series."""

    kind: Literal["anomaly"]
    at_least: Strength
    metric: str | None = None
    interval: IntervalName | None = None
    environment: str = "live"
    for_windows: Windows = 1

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"an anomaly of severity {self.at_least} or more, for {_windows(self.for_windows)}"


class QualityRule(_Rule):
    """A series of the data's own quality is not as expected. ``series`` may end with ``*``."""

    kind: Literal["quality"]
    series: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*\*?$")]
    at_least: Strength
    interval: IntervalName | None = None
    environment: str = "live"
    for_windows: Windows = 1

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"{self.series} is off by severity {self.at_least} or more, for {_windows(self.for_windows)}"


class _Lasting(_Rule):
    for_seconds: Seconds = 0


class DeadLettersRule(_Lasting):
    """More dead letters than so many."""

    kind: Literal["dead_letters"]
    more_than: Annotated[int, Field(ge=0)] = 0

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"more than {self.more_than:,} dead letters"


class BacklogRule(_Lasting):
    """More messages wait in the queue than so many."""

    kind: Literal["backlog"]
    more_than: Annotated[int, Field(gt=0)]

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"more than {self.more_than:,} messages wait"


class LagRule(_Lasting):
    """A stage is behind: from receipt to storage (95 of 100 events), or from there to the batches (the oldest word)."""

    kind: Literal["lag"]
    stage: Stage
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"{self.stage} later than {self.seconds:g} s"


class BatchLateRule(_Lasting):
    """The last run of the batches that came to its end is longer ago than so."""

    kind: Literal["batch_late"]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"no run of the batches came to its end for {self.seconds:g} s"


class LedgerRule(_Lasting):
    """More events than so many are not accounted for, of minutes that had their time."""

    kind: Literal["ledger"]
    more_than: Annotated[int, Field(ge=0)] = 0

    def condition(self) -> str:
        """What makes it fire, in words."""
        return f"more than {self.more_than:,} events are not accounted for"


Rule = MetricRule | AnomalyRule | QualityRule | DeadLettersRule | BacklogRule | LagRule | BatchLateRule | LedgerRule
MODELS: dict[str, type[Rule]] = {
    "metric": MetricRule,
    "anomaly": AnomalyRule,
    "quality": QualityRule,
    "dead_letters": DeadLettersRule,
    "backlog": BacklogRule,
    "lag": LagRule,
    "batch_late": BatchLateRule,
    "ledger": LedgerRule,
}


def _windows(count: int) -> str:
    return "a window" if count == 1 else f"{count} windows"
