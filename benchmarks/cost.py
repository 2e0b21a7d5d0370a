"""What a million events cost on AWS: ``python -m benchmarks cost``.

Measured, over the real broker or queue and the real store: CPU of the handlers by invocation, how long enrich waits for
the store, the bytes of messages, answers and log lines. The sums are ``functions/serve/costs``.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.collect import Context, request
from benchmarks.enrich import message, record
from benchmarks.events import Events
from benchmarks.machine import clickhouse, nats, quiet, sqs, with_geo
from benchmarks.results import Values
from functions.serve.costs import (
    COLLECT_MB,
    MEASURED,
    MESSAGES,
    Calls,
    Invocation,
    assumed,
    dollars,
    fixed,
    prices,
    use_of_a_million,
)

PAGE = Path(__file__).with_name("cost.md")
SIZES = (1, 10, 100, 500)
BROKERS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {"nats": nats, "sqs": sqs}
# What collect waits for: how long a laptop's broker or an emulator takes says nothing of AWS.
_PUBLISH_MS = {"nats": assumed("nats_publish_ms"), "sqs": assumed("sqs_send_ms")}


def measure(*, quick: bool = False) -> Values:
    """The costs of a million events, for each size of request and each broker.

    Unless ``quick``, writes the account, and what the running estimate of the status goes by.
    """
    made = {broker: measured(broker, 10 if quick else 40) for broker in BROKERS}
    if not quick:
        kept = {broker: {str(size): _rounded(one) for size, one in calls.items()} for broker, calls in made.items()}
        MEASURED.write_text(json.dumps(kept, indent=1) + "\n")
        PAGE.write_text(page(made))
    found: Values = {}
    for broker, calls in made.items():
        for size, (collect, enrich) in calls.items():
            use = use_of_a_million(size, broker, collect, enrich)
            name = f"cost_{broker}_{size}"
            found[f"{name}_usd"] = sum(dollars(use).values())
            found[f"{name}_collect_billed_ms"] = collect.billed_ms(COLLECT_MB)
    return found


def measured(broker: str, calls: int) -> dict[int, Calls]:
    """By size of request: a call of collect, and one of enrich with as many messages as it gets under load."""
    from functions.shared import wiring

    with_geo()
    found: dict[int, Calls] = {}
    os.environ["WEIR_QUEUE"] = broker
    with BROKERS[broker](), clickhouse():
        for each in (wiring.collect_service, wiring.enrich_service):
            each.cache_clear()
        for size in SIZES:
            events = Events(invalid=False)
            sent = _collect(events, size, calls)._replace(waited_ms=_PUBLISH_MS[broker])
            found[size] = Calls(sent, _enrich(events, size, MESSAGES[broker], max(3, calls // 10)))
        wiring.collect_service()._queue.close()  # type: ignore[attr-defined]
    return found


def _collect(events: Events, size: int, calls: int) -> Invocation:
    from functions.collect.app import app

    template = request("")
    bodies = [{**template, "body": events.body(size)} for _ in range(calls + 5)]
    answers: list[dict[str, Any]] = []
    timed = _timed(bodies, lambda event: answers.append(app(event, Context)), warm=5)
    assert all(one["statusCode"] == 202 for one in answers), answers[0]
    answer = sum(len(one["body"]) for one in answers) / len(answers)
    return timed._replace(message_bytes=len(message(events, size)), answer_bytes=answer)


def _enrich(events: Events, size: int, messages: int, calls: int) -> Invocation:
    from functions.enrich.app import enrich

    batches = [
        {"Records": [record(message(events, size), place) for place in range(messages)]} for _ in range(calls + 1)
    ]
    return _timed(batches, lambda event: enrich(event, Context), warm=1)


def _timed(given: list[Any], call: Callable[[Any], Any], warm: int) -> Invocation:
    """An invocation on average; the first few are not counted."""
    before, cpu, wall = 0, 0.0, 0.0
    with quiet() as logged:
        for number, event in enumerate(given):
            if number == warm:
                before, cpu, wall = logged(), time.process_time(), time.perf_counter()
            call(event)
        spent, took, lines = time.process_time() - cpu, time.perf_counter() - wall, logged() - before
    count = len(given) - warm
    return Invocation(spent / count * 1e3, max(0.0, took - spent) / count * 1e3, lines / count)


def table(made: Mapping[str, Mapping[int, Calls]]) -> str:
    """Dollars for a million events, part by part, as Markdown."""
    lines = [
        "| broker | events a request | collect, billed ms | message, bytes"
        " | gateway | Lambda | queue | logs | traces | sum |",
        f"|---{'|---:' * 9}|",
    ]
    for broker, calls in made.items():
        for size, (collect, enrich) in calls.items():
            paid = dollars(use_of_a_million(size, broker, collect, enrich))
            parts = [
                paid["gateway_requests"],
                paid["lambda_requests"] + paid["lambda_gb_seconds"],
                paid.get("sqs_requests", 0.0),
                paid["log_gigabytes"] + paid["out_gigabytes"],
                paid["traces"],
                sum(paid.values()),
            ]
            billed = collect.billed_ms(COLLECT_MB)
            cells = [broker, str(size), str(billed), f"{collect.message_bytes:,.0f}", *(f"{one:.4f}" for one in parts)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(made: Mapping[str, Mapping[int, Calls]]) -> str:
    """The whole account, as ``benchmarks/cost.md`` holds it."""
    parts = [_HEAD.format(as_of=prices()["as_of"], region=prices()["region"]), table(made)]
    for broker in BROKERS:
        monthly = fixed(broker)
        parts += ["", f"By month over {broker}, whatever comes in: ${sum(monthly.values()):,.0f}", ""]
        parts += [f"- {what}: ${usd:,.2f}" for what, usd in monthly.items()]
    return "\n".join(parts) + "\n"


_HEAD = """\
# What a million events cost
Made by `python -m benchmarks cost`. List prices of {as_of} in {region}, from `functions/serve/costs/prices.toml`, in
dollars for a million events of about 700 bytes, the gateway included, the free tier and reductions left out. Lambda is
what collect and enrich are billed; a function's CPU time is what was measured, by its part of a vCPU. Logs are a line
and a metric an invocation, and Lambda's own three lines; the answers' way to the internet is in that column too.
Traces are X-Ray's, of one invocation in twenty; the one a second that it takes besides is $13 a month at most.
"""


def _rounded(calls: Calls) -> list[list[float]]:
    return [[round(value, 3) for value in one] for one in calls]


if __name__ == "__main__":
    measure()
