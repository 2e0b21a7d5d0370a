"""Who is too fast is told when to come again; and without anybody who counts, nobody is."""

import pytest

from functions.shared.adapters.keys_memory import MemoryKeys
from functions.shared.domain import key_document, rates
from functions.shared.domain.instants import SECOND
from functions.shared.domain.keys import Digest, Key, hash_of
from functions.shared.domain.rates import WINDOW_SECONDS, Allowance
from functions.shared.edge import Answer, Request, answering
from functions.shared.errors import QuotaExceeded, RateLimited
from functions.shared.gate import Gate
from functions.shared.key_cache import KeyCache
from functions.shared.throttle import Throttle
from tests.support.limits import FakeCounters, ignored

NOON = 20_454 * 86_400 * SECOND + 43_200 * SECOND


class Subject:
    def __init__(self, address_requests: int = 0) -> None:
        self.counters, self.now, self.absent = FakeCounters(), NOON, 0
        self.throttle = Throttle(self.counters, lambda: self.now, self._told, address_requests)

    def _told(self) -> None:
        self.absent += 1


def limited(**limits: int) -> Key:
    return Key(key_id="live_a", **limits)  # type: ignore[arg-type]


def test_a_key_without_limits_asks_nobody() -> None:
    subject = Subject()
    subject.counters.available = False
    free = limited()
    assert subject.throttle.request(free) is subject.throttle.rate(free, 9) is subject.throttle.quota(free, 9) is None
    assert subject.throttle.address("192.0.2.1") is None
    assert subject.absent == 0


def test_requests_of_a_key_up_to_its_rate_and_one_more() -> None:
    subject, key = Subject(), limited(requests_per_second=2)
    for left in range(2 * WINDOW_SECONDS - 1, -1, -1):
        assert subject.throttle.request(key) == Allowance(True, 2 * WINDOW_SECONDS, left, 3)
    with pytest.raises(RateLimited) as caught:
        subject.throttle.request(key)
    assert caught.value.after_seconds == 3
    assert caught.value.headers == {"RateLimit-Limit": "20", "RateLimit-Remaining": "0", "RateLimit-Reset": "3"}
    assert subject.throttle.request(Key(key_id="live_b", requests_per_second=2)) is not None


def test_a_batch_over_a_whole_window_takes_all_of_it_and_is_not_refused_for_ever() -> None:
    subject, key = Subject(), limited(events_per_second=3)
    found = subject.throttle.rate(key, 5_000)
    assert found is not None
    assert (found.allowed, found.remaining) == (True, 0)
    again = subject.throttle.rate(key, 1)
    assert again is not None
    assert not again.allowed


def test_a_quota_is_of_a_day_and_says_when_the_next_one_begins() -> None:
    subject, key = Subject(), limited(daily_events=10)
    assert subject.throttle.quota(key, 10) == Allowance(True, 10, 0, 43_200)
    with pytest.raises(QuotaExceeded) as caught:
        subject.throttle.quota(key, 1)
    assert (caught.value.after_seconds, caught.value.headers["RateLimit-Reset"]) == (43_200, "43200")
    subject.now += 43_200 * SECOND
    assert subject.throttle.quota(key, 10) is not None


def test_addresses_are_held_apart_and_ipv6_hosts_together() -> None:
    subject = Subject(address_requests=1)
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"):
        for _ in range(WINDOW_SECONDS):
            assert subject.throttle.address(address) is not None
        with pytest.raises(RateLimited):
            subject.throttle.address(address)
    for same in ("2001:db8::ffff", "[2001:db8::2]", "::ffff:192.0.2.1"):
        with pytest.raises(RateLimited):
            subject.throttle.address(same)
    assert subject.throttle.address("no address") is None
    assert not [what for what in subject.counters._taken if "192" in what or "2001" in what]


def test_without_a_limiter_everything_is_let_through_and_that_is_told() -> None:
    subject = Subject(address_requests=1)
    subject.counters.available = False
    key = limited(events_per_second=1, requests_per_second=1, daily_events=1)
    for _ in range(3):
        subject.throttle.address("192.0.2.1")
        subject.throttle.request(key)
        subject.throttle.rate(key, 100)
        subject.throttle.quota(key, 100)
    assert subject.absent == 12


def test_the_headers_are_those_of_the_limit_that_is_nearest_to_its_end() -> None:
    assert rates.headers([]) == {}
    found = rates.headers([Allowance(True, 1000, 10, 5), Allowance(True, 10, 5, 7)])
    assert found == {"RateLimit-Limit": "1000", "RateLimit-Remaining": "10", "RateLimit-Reset": "5"}


def test_an_address_is_the_gateways_word_and_not_the_clients() -> None:
    def address(source_ip: str, forwarded: str) -> str:
        return Request(source_ip=source_ip, headers={"x-forwarded-for": forwarded} if forwarded else {}).address

    assert address("192.0.2.1", "203.0.113.9, 192.0.2.1") == "192.0.2.1"
    # Behind the front door of the laptop.
    assert address("127.0.0.1", "203.0.113.9, 198.51.100.7") == "198.51.100.7"
    assert address("127.0.0.1", "") == "127.0.0.1"


class TestGate:
    def asked(self, gate: Gate, token: str = "read", address: str = "192.0.2.1") -> Answer:
        request = Request(
            resource="/api/v1/status", headers={"authorization": f"Bearer {token}"}, source_ip=address, request_id="r"
        )
        return answering(lambda _: Answer(200), admit=gate.admit)(request)

    def gate(self, subject: Subject, **limits: int) -> Gate:
        key = Key(key_id="live_a", scopes=("read",), digests=(Digest(hash_of("read").hex()),), **limits)  # type: ignore[arg-type]
        kept = MemoryKeys(key_document.write([key]))
        return Gate(KeyCache(kept, lambda: NOON, lambda _: None), subject.throttle)

    def test_an_answer_tells_what_is_left_and_a_429_when_to_come_again(self) -> None:
        gate = self.gate(Subject(), requests_per_second=1)
        for left in range(WINDOW_SECONDS - 1, -1, -1):
            answer = self.asked(gate)
            assert (answer.status, answer.headers["RateLimit-Remaining"]) == (200, str(left))
        answer = self.asked(gate)
        assert (answer.status, answer.headers["Retry-After"], answer.headers["RateLimit-Remaining"]) == (429, "3", "0")
        assert "rate_limited" in answer.body

    def test_who_guesses_keys_is_slowed_as_well_and_nobody_else(self) -> None:
        gate = self.gate(Subject(address_requests=1))
        found = [self.asked(gate, f"guess-{number}").status for number in range(WINDOW_SECONDS + 2)]
        assert found == [401] * WINDOW_SECONDS + [429] * 2
        assert self.asked(gate, address="192.0.2.2").status == 200

    def test_a_hot_key_does_not_starve_the_others(self) -> None:
        subject = Subject()
        gate = self.gate(subject, requests_per_second=1)
        assert [self.asked(gate).status for _ in range(50)].count(200) == WINDOW_SECONDS
        assert subject.throttle.request(Key(key_id="live_b", requests_per_second=1)) is not None


def test_while_the_queue_fills_a_key_has_a_share_of_the_room_and_an_event_weighs_more_the_less_is_left() -> None:
    counters = FakeCounters()
    throttle = Throttle(counters, lambda: NOON, ignored, crowded_events=4)
    key = limited()
    assert throttle.share(key, 5_000, 1.0) is None
    assert throttle.share(key, 20, 0.5) == Allowance(True, 20, 0, 3)
    assert throttle.share(key, 1, 0.5) == Allowance(False, 20, 0, 3)
    assert throttle.share(Key(key_id="live_b"), 19, 0.5) == Allowance(True, 20, 1, 3)
    counters.pass_time()
    # Over all of it: such a request takes what there is, and so does any where next to nothing is left.
    assert throttle.share(key, 5_000, 0.5) == Allowance(True, 20, 0, 3)
    counters.pass_time()
    assert throttle.share(key, 1, 1e-9) == Allowance(True, 0, 0, 3)
    assert throttle.share(key, 1, 0.0) == Allowance(False, 0, 0, 3)
    counters.available = False
    assert throttle.share(key, 1, 0.5) is None
    assert Throttle(counters, lambda: NOON, ignored).share(key, 1, 0.5) is None
