"""Collect answers only what the broker holds, and tells of each event what became of it."""

import json
from typing import Any

import pytest

from functions.collect.admission import Admission
from functions.collect.request import CollectRequest
from functions.collect.service import CollectService, Outcome
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.domain import ids
from functions.shared.domain.keys import Key
from functions.shared.errors import BadRequest, QueueUnavailable, Reject, TooLarge
from functions.shared.ports import Published
from schemas.envelope import unpack
from schemas.limits import Limits
from tests.support.limits import FREE

NOW = 1_767_225_600_123_456_789
KEY = Key(key_id="live_shop", scopes=("write",))
EVENT = {"event_type": "click", "event_name": "Buy", "platform": "web"}


def with_id(number: int, **changed: Any) -> dict[str, Any]:
    return {**EVENT, "event_id": f"0193a1b2-c3d4-7e5f-8a9b-{number:012x}", **changed}


class Nothing:
    def rows(self, bodies: Any) -> dict[str, Any]:
        return {"raw": [len(bodies)], "processed": []}

    def wait(self, event_id: str, batch_id: str, environment: str) -> None:
        return None


def service(
    queue: Any = None, limits: Limits | None = None, stored: Any = None, admission: Admission | None = None
) -> CollectService:
    made = MemoryQueue() if queue is None else queue
    seen = Nothing() if stored is None else stored
    return CollectService(
        made, admission or FREE, limits or Limits(), lambda: NOW, lambda count: b"\7" * count, Nothing(), seen
    )


def post(collect: CollectService, events: Any, **given: Any) -> Outcome:
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return collect.batch(CollectRequest(body, given.pop("content_type", ""), **given))


def test_good_events_are_accepted_and_bad_ones_dropped_with_their_faults() -> None:
    queue = MemoryQueue()
    body = post(service(queue), [with_id(1), with_id(2, platform=7), with_id(3)]).body
    assert (body["received"], body["accepted"], body["rejected"]) == (3, 2, 1)
    assert [(one["index"], one["result"]) for one in body["results"]] == [(1, "drop")]
    envelope = unpack(queue.receive(1, 0)[0].body)
    assert len(envelope.events) == 3
    assert (envelope.header.received_at, envelope.header.batch_id) == (NOW, body["batch_id"])


def test_a_batch_without_a_good_event_is_a_400_and_is_kept_all_the_same() -> None:
    queue = MemoryQueue()
    outcome = post(service(queue), [{}, 5])
    assert (outcome.status, outcome.body["rejected"]) == (400, 2)
    assert queue.depth().ready == 1


def test_nothing_is_accepted_while_the_broker_is_away_and_all_is_when_it_is_back() -> None:
    queue = MemoryQueue()
    collect = service(queue)
    queue.available = False
    with pytest.raises(QueueUnavailable):
        post(collect, [with_id(1)])
    queue.available = True
    assert post(collect, [with_id(1)]).status == 202


def test_a_resend_of_the_same_events_is_told_as_duplicate_and_counts_as_accepted() -> None:
    collect = service()
    first = post(collect, [with_id(1)])
    again = post(collect, [with_id(1)])
    assert again.body["batch_id"] == first.body["batch_id"]
    assert [one["result"] for one in again.body["results"]] == ["duplicate"]
    assert again.body["accepted"] == 1


def test_events_whose_message_the_broker_did_not_take_are_to_be_sent_again() -> None:
    class Half(MemoryQueue):
        def publish(self, messages: Any) -> list[Published]:
            assert len(messages) > 1
            return [*super().publish(messages[:1]), *(Published(False, "away") for _ in messages[1:])]

    events = [with_id(number, properties={"note": "x" * 900}) for number in range(4)]
    body = post(service(Half(max_message_bytes=2_500)), events).body
    retried = [one["index"] for one in body["results"] if one["result"] == "retry"]
    assert retried
    assert body["accepted"] + body["rejected"] == 4
    assert body["rejected"] == len(retried)


def test_a_resend_that_is_cut_elsewhere_is_not_taken_for_what_the_broker_has() -> None:
    class OnlyTheFirst(MemoryQueue):
        limit = 2_500

        @property
        def max_message_bytes(self) -> int:
            return self.limit

        def publish(self, messages: Any) -> list[Published]:
            taken = super().publish(messages[:1])
            return [*taken, *(Published(False, "away") for _ in messages[1:])]

    queue = OnlyTheFirst()
    collect = service(queue)
    events = [with_id(number, properties={"note": "x" * 900}) for number in range(4)]
    assert post(collect, events).body["rejected"] > 0
    queue.limit = 1024 * 1024
    assert post(collect, events).body["rejected"] == 0
    queued = {line for one in queue.receive(10, 0) for line in unpack(one.body).events}
    assert len(queued) == 4


def test_an_id_that_is_made_up_is_told_of_and_two_such_batches_differ() -> None:
    body = post(service(), [EVENT]).body
    assert [(one["result"], one["errors"][0]["code"]) for one in body["results"]] == [("warning", "event_id_assigned")]


def test_an_idempotency_key_names_the_event_by_its_content() -> None:
    import hashlib

    given = CollectRequest(json.dumps(EVENT).encode(), idempotency_key="k-1", key=KEY)
    canonical = json.dumps(EVENT, sort_keys=True, separators=(",", ":")).encode()
    expected = ids.named("event", f"{KEY.key_id}:k-1:0:{hashlib.sha256(canonical).hexdigest()}")
    outcome = service().single(given)
    assert outcome.body["event_id"] == expected
    assert outcome.body["warnings"] == []


@pytest.mark.parametrize(("count", "fits"), [(3, True), (4, False)])
def test_a_batch_is_held_to_its_number_of_events(count: int, fits: bool) -> None:
    collect = service(limits=Limits(batch_events=3))
    events = [with_id(number) for number in range(count)]
    if fits:
        assert post(collect, events).status == 202
        return
    with pytest.raises(TooLarge) as caught:
        post(collect, events)
    assert caught.value.code == "too_many_events"


@pytest.mark.parametrize("spare", [0, -1])
def test_a_request_is_held_to_its_bytes(spare: int) -> None:
    body = json.dumps([with_id(1)]).encode()
    collect = service(limits=Limits(request_bytes=len(body) + spare))
    if spare == 0:
        assert post(collect, body).status == 202
        return
    with pytest.raises(TooLarge):
        post(collect, body)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"[]", "", "empty_batch"),
        (b"", "application/x-ndjson", "empty_batch"),
        (b"\x1f\x8bxx", "", "broken_gzip"),
        (b"[{}", "", "malformed_json"),
        (b"<a/>", "text/xml", "unsupported_media_type"),
        (b'{"events":[{}],"sent_at":"2026-02-30T00:00:00Z"}', "", "bad_timestamp"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_with_a_code(body: bytes, content_type: str, code: str) -> None:
    with pytest.raises(Reject) as caught:
        post(service(), body, content_type=content_type)
    assert caught.value.code == code


def test_a_bad_single_event_is_refused_and_kept() -> None:
    queue = MemoryQueue()
    with pytest.raises(BadRequest) as caught:
        service(queue).single(CollectRequest(b'{"event_type":""}'))
    assert {one["code"] for one in caught.value.errors} == {"too_short", "required"}
    assert queue.depth().ready == 1


def test_a_dry_run_queues_nothing() -> None:
    queue = MemoryQueue()
    outcome = service(queue).batch(CollectRequest(json.dumps([with_id(1)]).encode()), dry_run=True)
    assert (outcome.status, queue.depth().ready) == (200, 0)


class Standing:
    """A store in which the event stands as given; ``batch_id`` is by default that of the delivery asked for."""

    def __init__(self, raw: dict[str, Any] | None, processed: dict[str, Any] | None) -> None:
        self.raw, self.processed = raw, processed

    def wait(self, event_id: str, batch_id: str, environment: str) -> dict[str, Any]:
        raw = None if self.raw is None else {"batch_id": batch_id, **self.raw}
        return {"event_id": event_id, "raw": raw, "processed": self.processed}


REFUSED = {"processing_status": "failed", "errors": [{"loc": [], "code": "store_refused", "message": "no"}]}
STORED = {"processing_status": "processed"}


@pytest.mark.parametrize(
    ("raw", "processed", "status", "said"),
    [
        ({}, {"event_name": "Buy"}, 201, "stored"),
        ({"batch_id": "another"}, {"event_name": "Buy"}, 201, "stored"),
        (REFUSED, None, 422, "failed"),
        ({**REFUSED, "batch_id": "another"}, None, 202, "accepted"),
        (None, {"event_name": "Buy"}, 202, "accepted"),
        (STORED, None, 202, "accepted"),
        (None, None, 202, "accepted"),
    ],
    ids=[
        "both rows",
        "both rows, of another delivery",
        "failed",
        "another failed",
        "half",
        "the other half",
        "nothing",
    ],
)
def test_waiting_tells_the_fate_of_this_delivery_and_never_that_of_another(
    raw: dict[str, Any] | None, processed: dict[str, Any] | None, status: int, said: str
) -> None:
    one = CollectRequest(json.dumps(with_id(1)).encode())
    outcome = service(stored=Standing(raw, processed)).single(one, wait=True)
    assert (outcome.status, outcome.body["status"]) == (status, said)
    assert [one["code"] for one in outcome.body.get("errors", ())] == (["store_refused"] if status == 422 else [])
