"""What the event source tells: counters, and one line of JSON an invocation."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass
class Counters:
    """Everything since the start. ``state`` and ``last_error`` are for a person."""

    started_at: float = field(default_factory=time.time)
    state: str = "starting"
    pulled: int = 0
    invocations: int = 0
    messages: int = 0
    bytes: int = 0
    acked: int = 0
    retried: int = 0
    dead_lettered: int = 0
    in_flight: int = 0
    function_failures: int = 0
    function_unreached: int = 0
    broker_failures: int = 0
    last_success_at: float = 0.0
    last_error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the health answer."""
        return asdict(self)


def log(event: str, **fields: Any) -> None:
    """One line to stdout."""
    line = orjson.dumps({"at": round(time.time(), 3), "log": "event_source", "event": event, **fields})
    print(line.decode(), flush=True)
