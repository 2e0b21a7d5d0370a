"""What is over a rate or a quota, or comes while too much waits, is refused whole, before anything is accepted."""

import json
from typing import Any

import pytest

from functions.collect.admission import Admission
from functions.collect.backlog import Shedder
from functions.collect.request import CollectRequest
from functions.collect.service import CollectService
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.domain.instants import SECOND
from functions.shared.domain.keys import Key
from functions.shared.domain.rates import WINDOW_SECONDS
from functions.shared.errors import Forbidden, Overloaded, QueueUnavailable, QuotaExceeded, RateLimited
from functions.shared.ports import Backlog
from functions.shared.throttle import Throttle
from schemas.envelope import unpack
from schemas.limits import Limits
from tests.support.limits import FakeCounters, ignored

NOW = 1_767_225_600 * SECOND


class Nothing:
    def rows(self, bodies: Any) -> dict[str, Any]:
        return {"raw": [len(bodies)], "processed": []}

    def wait(self, event_id: str, batch_id: str, environment: str) -> None:
        return None


class Subject:
    def __init__(self, most_messages: int = 0, most_bytes: int = 0, crowded: int = 0, lanes: bool = True) -> None:
        self.queue, self.counters = MemoryQueue(), FakeCounters()
        self.now, self.looks, self.shed = NOW, 0, 0
        self.dropped: list[tuple[str, str, int]] = []
        throttle = Throttle(self.counters, lambda: self.now, ignored, crowded_events=crowded)
        shedder = Shedder(self._look, most_messages, most_bytes, lambda: self.now, self._shed)
        self.slow = MemoryQueue()
        slow = Shedder(self.slow.backlog, most_messages, most_bytes, lambda: self.now, self._shed)
        admission = Admission(throttle, shedder, lambda *one: self.dropped.append(one), slow if lanes else None)
        self.collect = CollectService(
            self.queue,
            admission,
            Limits(),
            lambda: self.now,
            lambda count: b"\7" * count,
            Nothing(),
            Nothing(),
            slow_queue=self.slow,
        )

    def _look(self) -> Backlog:
        self.looks += 1
        return self.queue.backlog()

    def _shed(self) -> None:
        self.shed += 1

    def post(self, names: list[str], key: Key, start: int = 0, **more: Any) -> dict[str, Any]:
        events = [
            {"event_id": f"0193a1b2-c3d4-7e5f-8a9b-{start + place:012x}", "event_type": "t", "event_name": name,
             "platform": "web"}
            for place, name in enumerate(names)
        ]  # fmt: skip
        return self.collect.batch(CollectRequest(json.dumps(events).encode(), key=key), **more).body

    def queued(self) -> list[bytes]:
        return [line for one in self.queue.receive(1000, 0) for line in unpack(one.body).events]


KEY = Key(key_id="live_a", scopes=("write",))


def with_(**limits: Any) -> Key:
    return Key(key_id="live_a", scopes=("write",), **limits)


def test_a_batch_over_the_rate_is_refused_whole_and_its_events_are_told_of() -> None:
    subject, key = Subject(), with_(events_per_second=1)
    assert subject.post(["a"] * 9, key)["accepted"] == 9
    with pytest.raises(RateLimited):
        subject.post(["a"] * 2, key, 9)
    assert subject.dropped == [("live_a", "rate", 2)]
    assert subject.post(["a"], key, 9)["accepted"] == 1
    assert len(subject.queued()) == 10
    subject.counters.pass_time()
    assert subject.post(["a"] * WINDOW_SECONDS, key, 20)["accepted"] == WINDOW_SECONDS


def test_a_full_slow_lane_turns_away_what_would_have_to_wait_in_it_and_nobody_else() -> None:
    subject = Subject(most_messages=1)
    key = with_(events_per_second=1, slow_lane=True, daily_events=30)
    subject.post(["a"] * 9, key)
    # What is within the rate was taken by enrich meanwhile.
    [waiting] = subject.queue.receive(10, 0)
    subject.queue.ack(waiting)
    subject.now += SECOND
    assert subject.post(["a"] * 2, key, 9)["accepted"] == 2
    subject.now += SECOND
    with pytest.raises(Overloaded):
        subject.post(["a"] * 2, key, 11)
    assert (subject.shed, subject.dropped) == (1, [])
    # Nothing of the day's quota was spent on it, and another key is as free as ever.
    assert subject.post(["a"], Key(key_id="live_b", events_per_second=10), 20)["accepted"] == 1
    subject.queue.ack(*subject.queue.receive(10, 0))
    [slow] = subject.slow.receive(10, 0)
    subject.slow.ack(slow)
    subject.now += SECOND
    assert subject.post(["a"] * 19, key, 30)["accepted"] == 19


def test_a_day_has_its_quota() -> None:
    subject, key = Subject(), with_(daily_events=3)
    assert subject.post(["a"] * 3, key)["accepted"] == 3
    with pytest.raises(QuotaExceeded):
        subject.post(["a"], key, 3)
    assert subject.dropped == [("live_a", "quota", 1)]
    assert len(subject.queued()) == 3
    subject.now += 86_400 * SECOND
    assert subject.post(["a"] * 3, key, 3)["accepted"] == 3


def test_a_limited_key_takes_nothing_of_another() -> None:
    subject = Subject()
    for number in range(WINDOW_SECONDS):
        subject.post(["a"], with_(events_per_second=1), number)
    with pytest.raises(RateLimited):
        subject.post(["a"], with_(events_per_second=1), 99)
    assert subject.post(["a"] * 100, Key(key_id="live_b", events_per_second=10), 100)["accepted"] == 100


def test_without_a_limiter_everything_is_taken() -> None:
    subject = Subject()
    subject.counters.available = False
    assert subject.post(["a"] * 50, with_(events_per_second=1, daily_events=1))["accepted"] == 50


def test_what_is_left_is_told_with_the_answer() -> None:
    subject = Subject()
    events = json.dumps([{"event_type": "t", "event_name": "a", "platform": "web"}]).encode()
    outcome = subject.collect.batch(CollectRequest(events, key=with_(events_per_second=2, daily_events=5)))
    assert [(one.limit, one.remaining) for one in outcome.allowances] == [(20, 19), (5, 4)]


def test_an_event_of_a_name_that_the_key_may_not_write_is_dropped_alone() -> None:
    subject, key = Subject(), with_(event_names=("Cart *", "Buy"))
    body = subject.post(["Cart filled", "Other", "Buy", "buy"], key, all_results=True)
    assert (body["received"], body["accepted"], body["rejected"]) == (4, 2, 2)
    assert [(one["index"], one["result"]) for one in body["results"]] == [
        (0, "ok"), (1, "drop"), (2, "ok"), (3, "drop"),
    ]  # fmt: skip
    assert body["results"][1]["errors"][0]["code"] == "event_name_refused"
    (message,) = subject.queue.receive(10, 0)
    envelope = unpack(message.body)
    assert [json.loads(line)["event_name"] for line in envelope.events] == ["Cart filled", "Buy"]
    assert (envelope.header.batch_size, envelope.header.batch_id) == (2, body["batch_id"])
    assert subject.dropped == [("live_a", "name", 2)]


def test_a_name_that_is_refused_goes_nowhere_even_when_the_event_is_bad_otherwise() -> None:
    subject, key = Subject(), with_(event_names=("Buy",))
    events = [{"event_type": "t", "event_name": "Other"}, {"event_type": "t", "event_name": "Buy"}, {"event_name": 7}]
    body = subject.collect.batch(CollectRequest(json.dumps(events).encode(), key=key)).body
    assert [one["errors"][0]["code"] for one in body["results"]] == ["event_name_refused", "required", "required"]
    assert len(subject.queued()) == 2


def test_when_no_name_may_be_written_nothing_is_queued() -> None:
    subject, key = Subject(), with_(event_names=("Buy",))
    assert subject.post(["a", "b"], key)["rejected"] == 2
    with pytest.raises(Forbidden) as caught:
        subject.collect.single(CollectRequest(b'{"event_type":"t","event_name":"a","platform":"web"}', key=key))
    assert (caught.value.status, caught.value.errors[0]["code"]) == (403, "event_name_refused")
    assert subject.post(["a"], key, dry_run=True) == {"dry_run": True, "raw": [], "processed": []}
    assert subject.queue.depth().ready == 0


def test_ids_assigned_stay_with_their_events_when_others_are_dropped() -> None:
    subject, key = Subject(), with_(event_names=("Buy",))
    events = [{"event_type": "t", "event_name": name, "platform": "web"} for name in ("x", "Buy", "x", "Buy")]
    given = CollectRequest(json.dumps(events).encode(), idempotency_key="k", key=key)
    body = subject.collect.batch(given, all_results=True).body
    (message,) = subject.queue.receive(10, 0)
    assert unpack(message.body).header.ids == {0: body["results"][1]["event_id"], 1: body["results"][3]["event_id"]}


def test_what_the_broker_did_not_take_of_a_batch_with_drops_is_told_by_its_own_places() -> None:
    subject = Subject()

    class Half(MemoryQueue):
        def publish(self, messages: Any) -> Any:
            from functions.shared.ports import Published

            return [*super().publish(messages[:1]), *(Published(False, "away") for _ in messages[1:])]

    subject.collect._queue = Half(max_message_bytes=1_000)
    names = ["x" if place % 3 == 0 else "Buy" for place in range(12)]
    body = subject.post(names, with_(event_names=("Buy",)), all_results=True)
    results = [one["result"] for one in body["results"]]
    assert [place for place, result in enumerate(results) if result == "drop"] == [0, 3, 6, 9]
    assert results[1] == "ok"
    assert results[11] == "retry"


@pytest.mark.parametrize("bounds", [{"most_messages": 3}, {"most_bytes": 1}])
def test_a_backlog_sheds_before_anything_is_taken_and_ends_with_it(bounds: dict[str, int]) -> None:
    subject = Subject(**bounds)
    taken = bounds.get("most_messages", 1)
    for number in range(taken):
        subject.now += 2 * SECOND
        assert subject.post(["a"], KEY, number)["accepted"] == 1
    subject.now += 2 * SECOND
    for number in range(3):
        with pytest.raises(Overloaded) as caught:
            subject.post(["a"], KEY, 10 + number)
        assert caught.value.after_seconds == 5
    assert (subject.queue.depth().ready, subject.shed) == (taken, 3)
    # A broken body is not even looked at.
    with pytest.raises(Overloaded):
        subject.collect.batch(CollectRequest(b"{", key=KEY))
    for each in subject.queue.receive(10, 0):
        subject.queue.ack(each)
    subject.now += 2 * SECOND
    assert subject.post(["a"], KEY, 9)["accepted"] == 1


def filled(subject: Subject, messages: int, key: Key = KEY) -> None:
    """Let so many wait, as the process that took them sees it a moment later."""
    for number in range(messages - subject.queue.depth().ready):
        subject.post(["a"], key, 1_000 + subject.queue.depth().ready + number)
    subject.now += 2 * SECOND


OTHER = Key(key_id="live_b", scopes=("write",))


def test_in_the_last_quarter_of_the_bound_a_key_is_held_to_its_share_and_who_sends_little_is_taken_to_the_end() -> None:
    subject = Subject(most_messages=16, crowded=1)
    filled(subject, 12)
    # Three quarters of the bound are anybody's.
    assert subject.post(["a"] * 100, KEY)["accepted"] == 100
    filled(subject, 13)
    # Of the last quarter three quarters are left, and so of ten events in ten seconds seven.
    assert subject.post(["a"] * 7, KEY, 200)["accepted"] == 7
    with pytest.raises(RateLimited) as caught:
        subject.post(["a"], KEY, 300)
    assert (caught.value.status, caught.value.after_seconds) == (429, 3)
    assert "share" in caught.value.detail
    assert subject.dropped == [("live_a", "share", 1)]
    assert subject.post(["a"], OTHER, 400)["accepted"] == 1
    subject.now += 2 * SECOND
    assert subject.queue.depth().ready == 15
    assert subject.post(["a"], OTHER, 500)["accepted"] == 1
    # At the bound nobody is taken.
    subject.now += 2 * SECOND
    with pytest.raises(Overloaded):
        subject.post(["a"], OTHER, 600)
    for each in subject.queue.receive(10, 0)[:4]:
        subject.queue.ack(each)
    subject.now += 2 * SECOND
    assert subject.post(["a"] * 100, KEY, 700)["accepted"] == 100


def test_what_is_over_a_share_waits_in_the_slow_lane_where_the_key_asks_for_it_and_there_is_one() -> None:
    key = with_(slow_lane=True)
    subject = Subject(most_messages=16, crowded=1)
    filled(subject, 13)
    subject.post(["a"] * 7, key)
    assert subject.post(["a"] * 7, key, 10)["accepted"] == 7
    assert (subject.slow.depth().ready, subject.dropped) == (1, [])
    one_queue = Subject(most_messages=16, crowded=1, lanes=False)
    filled(one_queue, 13)
    one_queue.post(["a"] * 7, key)
    with pytest.raises(RateLimited):
        one_queue.post(["a"] * 7, key, 10)


def test_a_share_is_no_bound_where_it_is_off_or_nobody_counts() -> None:
    for subject in (Subject(most_messages=16), Subject(most_messages=16, crowded=1)):
        subject.counters.available = False
        filled(subject, 13)
        assert subject.post(["a"] * 100, KEY)["accepted"] == 100


def test_a_broker_that_does_not_answer_holds_nobody_to_a_share() -> None:
    subject = Subject(most_messages=16, crowded=1)
    filled(subject, 13)
    subject.post(["a"] * 7, KEY)
    subject.now += 2 * SECOND
    shedder = subject.collect._admission._shedder
    subject.queue.available = False
    shedder.check()
    assert shedder.room == 1


def test_the_broker_is_asked_once_a_second_at_most() -> None:
    subject = Subject(most_messages=1_000_000)
    for number in range(100):
        subject.now += SECOND // 100
        subject.post(["a"], KEY, number)
    assert 1 <= subject.looks <= 2
    full = Subject(most_messages=1)
    full.post(["a"], KEY)
    full.now += 2 * SECOND
    for _ in range(100):
        full.now += SECOND // 100
        with pytest.raises(Overloaded):
            full.post(["b"], KEY, 1)
    assert full.looks <= 4


def test_a_broker_that_does_not_answer_sheds_nobody_and_is_told_by_publishing() -> None:
    subject = Subject(most_messages=1)
    subject.queue.available = False
    with pytest.raises(QueueUnavailable):
        subject.post(["a"], KEY)
    subject.queue.available = True
    assert subject.post(["a"], KEY)["accepted"] == 1


def test_a_dry_run_is_neither_limited_nor_shed() -> None:
    subject, key = Subject(most_messages=1), with_(events_per_second=1)
    subject.post(["a"], KEY)
    for _ in range(3):
        assert subject.post(["a"] * 20, key, dry_run=True)["dry_run"]


def test_no_bound_asks_nobody() -> None:
    subject = Subject()
    subject.post(["a"], KEY)
    assert subject.looks == 0
