"""The sums of the cost model: what Lambda bills, and what SQS counts as a request."""

import pytest

from benchmarks.cost import PAGE, page
from functions.serve.costs import (
    MESSAGES,
    MILLION,
    Invocation,
    dollars,
    estimate,
    fixed,
    measured,
    use_of_a_million,
)

BROKERS = ("nats", "sqs")
SIZES = (1, 10, 100, 500)

KIBIBYTES_64 = 64 * 1024
ENRICH = Invocation(cpu_ms=10, waited_ms=0, log_bytes=0)


def collect(message_bytes: int = 1_000) -> Invocation:
    return Invocation(cpu_ms=1, waited_ms=0, log_bytes=0, message_bytes=message_bytes)


def test_a_function_waits_as_long_as_elsewhere_but_computes_by_its_part_of_a_cpu() -> None:
    one = Invocation(cpu_ms=10, waited_ms=3, log_bytes=0)
    assert one.billed_ms(1_769) == 13
    assert one.billed_ms(3_538) == 13
    assert one.billed_ms(884) == 24


def test_a_begun_millisecond_is_billed_whole() -> None:
    assert Invocation(cpu_ms=0, waited_ms=2.0, log_bytes=0).billed_ms(1_769) == 2
    assert Invocation(cpu_ms=0, waited_ms=2.01, log_bytes=0).billed_ms(1_769) == 3


@pytest.mark.parametrize(("message_bytes", "sends"), [(1, 1), (KIBIBYTES_64, 1), (KIBIBYTES_64 + 1, 2)])
def test_each_64_kibibytes_of_a_message_are_a_request_of_sqs(message_bytes: int, sends: int) -> None:
    use = use_of_a_million(100, "sqs", collect(message_bytes), ENRICH)
    calls = MILLION / 100 / MESSAGES["sqs"]
    received = -(-message_bytes * MESSAGES["sqs"] // KIBIBYTES_64)
    assert use["sqs_requests"] == MILLION / 100 * sends + calls * received + calls


def test_nats_asks_nothing_by_the_message() -> None:
    assert "sqs_requests" not in use_of_a_million(100, "nats", collect(), ENRICH)


@pytest.mark.parametrize("broker", BROKERS)
def test_larger_requests_are_cheaper(broker: str) -> None:
    sums = [sum(dollars(use_of_a_million(size, broker, collect(), ENRICH)).values()) for size in SIZES]
    assert sums == sorted(sums, reverse=True)


def test_a_million_requests_cost_what_the_gateway_and_lambda_list() -> None:
    paid = dollars(use_of_a_million(1, "nats", collect(), ENRICH))
    assert paid["gateway_requests"] == 3.5
    assert paid["lambda_requests"] == pytest.approx(0.20 * 1.01)


def test_one_invocation_in_twenty_is_traced() -> None:
    paid = dollars(use_of_a_million(1, "nats", collect(), ENRICH))
    assert paid["traces"] == pytest.approx(5.00 / 20 * 1.01)


def test_the_account_is_that_of_the_prices_and_of_what_was_measured() -> None:
    assert PAGE.read_text() == page({broker: measured(broker) for broker in BROKERS})


def test_what_stands_there_is_by_broker() -> None:
    assert fixed("nats").keys() - fixed("sqs").keys()
    assert fixed("sqs").keys() - fixed("nats").keys()
    assert fixed("nats").keys() & fixed("sqs").keys()


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("size", SIZES)
def test_the_estimate_at_a_measured_size_is_what_was_measured(broker: str, size: int) -> None:
    told = estimate(size * 60, 60, 60, broker)
    paid = sum(dollars(use_of_a_million(size, broker, *measured(broker)[size])).values())
    assert told["usd_per_million_events"] == pytest.approx(paid, abs=1e-4)
    assert told["events_per_request"] == size


@pytest.mark.parametrize("broker", BROKERS)
def test_the_estimate_falls_with_the_size_of_requests_also_between_and_beyond_the_measured(broker: str) -> None:
    told = [estimate(10_000, 10_000 / size, 60, broker)["usd_per_million_events"] for size in (1, 3, 30, 300, 5_000)]
    assert told == sorted(told, reverse=True)


def test_a_month_at_this_rate_is_of_thirty_days() -> None:
    told = estimate(1_000_000, 10_000, 60, "nats")
    assert told["usd_per_month_at_this_rate"] == pytest.approx(told["usd_per_million_events"] * 43_200, rel=1e-3)
