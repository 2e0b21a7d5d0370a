"""What collect tells of a request beside its events."""

import json
import os
from typing import Any

from functions.collect.request import CollectRequest
from functions.collect.service import CollectService
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.domain import tallies
from functions.shared.domain.keys import Key
from functions.shared.domain.ledger import Account, account
from functions.shared.domain.tallies import rows
from schemas import tally
from schemas.envelope import unpack
from schemas.limits import Limits
from tests.support.limits import FREE

NOW = 1_767_225_600_000_000_000
NOBODY: Any = None


def sent(queue: MemoryQueue, *names: str, allowed: tuple[str, ...] = (), now: int = NOW) -> Any:
    collect = CollectService(queue, FREE, Limits(), lambda: now, os.urandom, NOBODY, NOBODY, "a-host")
    events = [
        {"event_id": f"00000000-0000-4000-8000-{place:012}", "event_type": "t", "event_name": name, "platform": "web"}
        for place, name in enumerate(names)
    ]
    key = Key(key_id="live_a", scopes=("write",), event_names=allowed)
    request = CollectRequest(json.dumps({"events": events}).encode(), key=key, request_id="request-1")
    return collect.batch(request)


def test_a_message_carries_what_the_ledger_is_told_of_it() -> None:
    queue = MemoryQueue()
    answer = sent(queue, "a", "b")
    (row,) = rows(queue.tallies)
    assert (row.kind, row.events, row.first_index, row.key_id, row.received_at) == ("tally", 2, 0, "live_a", NOW)
    assert (row.batch_id, row.host, row.request_id, row.dropped) == (
        answer.body["batch_id"],
        "a-host",
        "request-1",
        {},
    )


def test_each_part_has_its_own_and_they_are_all_of_the_events() -> None:
    queue = MemoryQueue(max_message_bytes=1_000)
    sent(queue, *["x" * 200] * 8)
    told = rows(queue.tallies)
    assert len(told) > 1
    assert [row.first_index for row in told] == [sum(row.events for row in told[:n]) for n in range(len(told))]
    assert account(told) == Account(8, in_flight=8)


def test_what_a_key_may_not_write_is_dropped_and_told_once() -> None:
    queue = MemoryQueue(max_message_bytes=1_000)
    sent(queue, *["a" * 200] * 6, "b", allowed=("a*",))
    assert account(rows(queue.tallies)) == Account(7, in_flight=6, dropped={"name": 1})


def test_a_request_of_which_nothing_is_taken_is_told_of_too() -> None:
    queue = MemoryQueue()
    sent(queue, "b", "b", allowed=("a",))
    assert account(rows(queue.tallies)) == Account(2, dropped={"name": 2})


def test_what_the_broker_held_already_is_a_duplicate() -> None:
    queue = MemoryQueue()
    for later in range(2):
        sent(queue, "a", "b", allowed=("a",), now=NOW + later)
    first, second = (
        account(row for row in rows(queue.tallies) if row.received_at == NOW + later) for later in range(2)
    )
    assert first == Account(2, in_flight=1, dropped={"name": 1})
    assert second == Account(2, duplicate=1, dropped={"name": 1})


def test_an_older_release_reads_a_tally_as_an_envelope_without_events() -> None:
    queue = MemoryQueue()
    sent(queue, "a")
    envelope = unpack(queue.tallies[0].encode())
    assert envelope.events == []
    assert queue.tallies[0].encode().startswith(tally.MARK)


def test_what_is_no_tally_is_passed_over() -> None:
    assert tallies.rows(["", "{}", "[]", '{"tally":2}', "\ud800"]) == []
