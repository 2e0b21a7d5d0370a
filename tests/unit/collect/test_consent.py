"""Who refuses to be observed is not: their events go nowhere, or on as of nobody, as the deployment says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.collect import views
from functions.collect.request import CollectRequest
from functions.collect.service import CollectService, Outcome
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.domain import consent
from functions.shared.domain.consent import Mode, Signal
from functions.shared.domain.keys import Key
from functions.shared.edge import Request
from functions.shared.errors import Forbidden
from schemas import tally
from schemas.envelope import unpack
from schemas.limits import Limits
from tests.support.limits import FREE
from tests.unit.collect.test_service import KEY, NOW, Nothing, with_id

NO, YES = {"consent": {"analytics": False}}, {"consent": {"analytics": True}}
WORDS = [
    False,
    True,
    None,
    "granted",
    "false",
    0,
    1,
    [],
    {},
    {"analytics": None},
    {"marketing": False},
    {"analytics": 1},
]


def collect(mode: Mode, queue: MemoryQueue) -> CollectService:
    return CollectService(
        queue, FREE, Limits(), lambda: NOW, lambda count: b"\7" * count, Nothing(), Nothing(), consent=mode
    )


def post(mode: Mode, events: Any, signal: Signal = "", queue: MemoryQueue | None = None, **more: Any) -> Outcome:
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    request = CollectRequest(body, key=more.pop("key", KEY), signal=signal)
    return collect(mode, queue or MemoryQueue()).batch(request, **more)


def queued(queue: MemoryQueue) -> list[bytes]:
    return [line for one in queue.receive(100, 0) if one.body for line in unpack(one.body).events]


@pytest.mark.parametrize(
    ("do_not_track", "control", "said"),
    [
        ("1", "", "dnt"),
        ("", "1", "gpc"),
        ("1", "1", "gpc"),
        ("0", "", ""),
        ("", "0", ""),
        ("", "", ""),
        ("yes", "?1", ""),
    ],
)
def test_headers_say_what_a_browser_says(do_not_track: str, control: str, said: str) -> None:
    assert consent.signal(do_not_track, control) == said


@pytest.mark.parametrize(
    ("context", "said", "why"),
    [
        ({}, "", ""),
        ({}, "dnt", "dnt"),
        ({}, "gpc", "gpc"),
        (YES, "", ""),
        (YES, "dnt", ""),
        (YES, "gpc", "gpc"),
        (NO, "", "event"),
        (NO, "dnt", "event"),
        (NO, "gpc", "event"),
        ({"consent": False}, "", "event"),
        ({"consent": True}, "dnt", ""),
        ({"consent.analytics": False}, "", "event"),
        ({"consent": {"analytics": "denied"}}, "", "event"),
        ({"consent": {"analytics": None}}, "", ""),
        ({"consent": {"marketing": False}}, "", ""),
    ],
)
def test_which_word_counts(context: dict[str, Any], said: Signal, why: str) -> None:
    event = with_id(1, context=context)
    assert consent.refusal(event, b"", said) == why
    assert consent.refusal(None, json.dumps(event).encode(), said) == why


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(["", "dnt", "gpc"]),
)
def test_of_any_batch_exactly_those_are_dropped_that_refuse(words: list[tuple[Any, bool]], said: Signal) -> None:
    events = [
        with_id(place, context={"consent": word}, **({"platform": 7} if bad else {}))
        for place, (word, bad) in enumerate(words)
    ]
    refused = {place for place, event in enumerate(events) if consent.refusal(event, b"", said)}
    queue = MemoryQueue()
    body = post("drop", events, said, queue, all_results=True).body
    codes = [[error["code"] for error in one["errors"]] for one in body["results"]]
    assert {place for place, found in enumerate(codes) if found == ["consent"]} == refused
    ids = [json.loads(line)["event_id"] for line in queued(queue)]
    assert ids == [event["event_id"] for place, event in enumerate(events) if place not in refused]
    assert body["received"] == body["accepted"] + body["rejected"]


def test_what_is_dropped_is_told_of_and_counted_apart_from_names() -> None:
    queue = MemoryQueue()
    key = Key(key_id="live_shop", scopes=("write",), event_names=("Buy",))
    events = [
        with_id(1),
        with_id(2, context=NO),
        with_id(3, event_name="Other"),
        with_id(4, event_name="Other", context=NO),
    ]
    outcome = post("drop", events, queue=queue, key=key)
    assert (outcome.status, outcome.body["accepted"], outcome.body["rejected"]) == (202, 1, 3)
    (told,) = [tally.read(text.encode()) for text in queue.tallies]
    assert (told.events, told.dropped) == (1, {"consent": 1, "name": 2})


def test_a_browser_that_refuses_everything_is_told_so_and_made_no_error_of() -> None:
    queue = MemoryQueue()
    outcome = post("drop", [with_id(1), with_id(2)], "gpc", queue)
    assert (outcome.status, outcome.body["rejected"], queued(queue)) == (202, 2, [])
    one = collect("drop", queue).single(CollectRequest(json.dumps(with_id(1)).encode(), key=KEY, signal="gpc"))
    assert (one.status, one.body["status"], one.body["warnings"][0]["code"]) == (202, "dropped", "consent")
    assert queued(queue) == []


def test_bytes_that_nobody_can_read_are_as_their_request() -> None:
    queue = MemoryQueue()
    ndjson = b'{"event_id": \n' + json.dumps(with_id(1)).encode()
    request = CollectRequest(ndjson, "application/x-ndjson", key=KEY, signal="dnt")
    assert collect("drop", queue).batch(request).body["rejected"] == 2
    assert queued(queue) == []
    assert collect("drop", queue).batch(request._replace(signal="")).body["accepted"] == 1


def test_a_dry_run_shows_nothing_of_what_would_be_dropped() -> None:
    request = CollectRequest(json.dumps(with_id(1)).encode(), key=KEY, signal="dnt")
    assert collect("drop", MemoryQueue()).single(request, dry_run=True).body == {
        "dry_run": True, "raw": [], "processed": [],
    }  # fmt: skip


def test_a_name_that_is_refused_stays_an_error() -> None:
    key = Key(key_id="live_shop", scopes=("write",), event_names=("Other",))
    with pytest.raises(Forbidden):
        collect("drop", MemoryQueue()).single(CollectRequest(json.dumps(with_id(1)).encode(), key=key, signal="gpc"))


@pytest.mark.parametrize(("mode", "carried"), [("off", ""), ("drop", ""), ("anonymise", "gpc")])
def test_the_signal_goes_on_only_where_it_is_heard_later(mode: Mode, carried: str) -> None:
    queue = MemoryQueue()
    post(mode, [with_id(1, context=YES)], "gpc" if mode != "drop" else "dnt", queue)
    (message,) = queue.receive(1, 0)
    assert unpack(message.body).header.signal == carried
    assert (b"signal" in message.body) == bool(carried)


@pytest.mark.parametrize("operation", ["event", "batch"])
@pytest.mark.parametrize(
    ("headers", "said"), [({"dnt": "1"}, "dnt"), ({"sec-gpc": "1", "dnt": "0"}, "gpc"), ({"dnt": "0"}, ""), ({}, "")]
)
def test_a_request_says_what_its_headers_say(headers: dict[str, str], said: str, operation: str) -> None:
    taken: list[CollectRequest] = []

    class Heard:
        def single(self, request: CollectRequest, **_: Any) -> Outcome:
            taken.append(request)
            return Outcome(202, {}, {})

        batch = single

    views._call(Heard(), Request(method="POST", body=b"{}", resource="/", headers=headers), operation)  # type: ignore[arg-type]
    assert [request.signal for request in taken] == [said]
