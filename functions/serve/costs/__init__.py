"""What events cost on AWS: prices, what the handlers were measured to use, and the sums. Pure.

A function of less than 1,769 MB has a part of a vCPU, so its CPU time grows by that; what it waits for does not. Prices
and what cannot be measured are in ``prices.toml``; ``measured.json`` is written by ``python -m benchmarks cost``.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

MILLION = 1_000_000
# As in template.yaml.
COLLECT_MB, ENRICH_MB = 512, 1024
# Messages an invocation of enrich, under load: the mapping's batch size, and the event source's.
MESSAGES = {"nats": 100, "sqs": 10}
MEASURED = Path(__file__).with_name("measured.json")
_CHUNK = 64 * 1024
_GIGABYTE = 1e9
_MONTH_SECONDS = 30 * 86_400


@cache
def prices() -> dict[str, Any]:
    """``prices.toml``, read once."""
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text())


def assumed(name: str) -> float:
    """What a laptop cannot measure."""
    return float(prices()["assumed"][name])


class Invocation(NamedTuple):
    """One call of a handler, on average: milliseconds of CPU and of waiting, and the bytes that came of it."""

    cpu_ms: float
    waited_ms: float
    log_bytes: float
    message_bytes: float = 0
    answer_bytes: float = 0

    def billed_ms(self, memory_mb: int) -> int:
        """Whole milliseconds, as Lambda bills them."""
        share = min(1.0, memory_mb / assumed("vcpu_at_megabytes"))
        return math.ceil(self.cpu_ms / share + self.waited_ms)


Use = Mapping[str, float]


def dollars(use: Use) -> dict[str, float]:
    """What a use costs, by unit."""
    listed = prices()["price"]
    return {unit: count * listed[unit]["usd"] / listed[unit]["per"] for unit, count in use.items()}


def use_of_a_million(size: float, broker: str, collect: Invocation, enrich: Invocation) -> Use:
    """Units for a million events sent ``size`` at a time, a message a request."""
    requests = MILLION / size
    handled = requests / MESSAGES[broker]
    collect_ms = collect.billed_ms(COLLECT_MB)
    enrich_ms = enrich.billed_ms(ENRICH_MB)
    logged = collect.log_bytes * requests + enrich.log_bytes * handled
    logged += assumed("platform_log_bytes") * (requests + handled)
    found = {
        "gateway_requests": requests,
        "lambda_requests": requests + handled,
        "lambda_gb_seconds": (requests * collect_ms * COLLECT_MB + handled * enrich_ms * ENRICH_MB) / 1024 / 1000,
        "log_gigabytes": logged / _GIGABYTE,
        "out_gigabytes": requests * collect.answer_bytes / _GIGABYTE,
        "traces": (requests + handled) * assumed("traced_share"),
    }
    if broker == "sqs":
        sent = requests * math.ceil(collect.message_bytes / _CHUNK)
        received = handled * math.ceil(collect.message_bytes * MESSAGES[broker] / _CHUNK)
        found["sqs_requests"] = sent + received + handled
    return found


def fixed(broker: str) -> dict[str, float]:
    """Dollars a month for what stands there, whatever comes in."""
    return {what: one["usd"] for what, one in prices()["month"].items() if one.get("broker", broker) == broker}


class Calls(NamedTuple):
    """A call of collect, and one of enrich with as many messages as it gets under load."""

    collect: Invocation
    enrich: Invocation


@cache
def measured(broker: str) -> dict[int, Calls]:
    """The last measurement, by events a request."""
    found = json.loads(MEASURED.read_text())[broker]
    return {int(size): Calls(*(Invocation(*one) for one in calls)) for size, calls in found.items()}


def estimate(events: int, requests: float, seconds: float, broker: str) -> dict[str, Any]:
    """What events that came in so many requests within some seconds cost, and would cost going on like that."""
    size = events / requests
    each = sum(dollars(use_of_a_million(size, broker, *_between(measured(broker), size))).values())
    return {
        "events_per_request": round(size, 2),
        "usd_per_million_events": round(each, 4),
        "usd_per_month_at_this_rate": round(each * events / MILLION * _MONTH_SECONDS / seconds, 2),
        "prices_as_of": str(prices()["as_of"]),
        "region": prices()["region"],
    }


def _between(known: Mapping[int, Calls], size: float) -> Calls:
    """A measurement for any size: on the line between the next smaller and the next larger one that was made."""
    sizes = sorted(known)
    low, high = next((pair for pair in pairwise(sizes) if size <= pair[1]), (sizes[-2], sizes[-1]))
    part = min(1.0, max(0.0, (size - low) / (high - low)))
    return Calls(
        *(
            Invocation(*(a + (b - a) * part for a, b in zip(one, other, strict=True)))
            for one, other in zip(known[low], known[high], strict=True)
        )
    )
