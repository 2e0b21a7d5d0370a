"""Tallies: told by the broker of what it holds and of nothing else, each once, until the ledger has them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared.adapters.nats_tallies import NatsTallies
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import Message
from functions.shared.settings import QueueSettings
from tests.contract.queue_subjects import LIMIT_BYTES, SUBJECTS, NatsSubject, fresh_topology
from tests.support.polling import until

pytestmark = pytest.mark.engines
ONE = Message("b:0-2", b"two events", '{"tally":1,"events":2}')


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[NatsSubject]:
    with SUBJECTS["nats"](tmp_path) as found:
        assert isinstance(found, NatsSubject)
        yield found


def taken(tallies: NatsTallies, count: int, limit: int = 100) -> list[str]:
    """So many, in the order of their coming."""
    found: list[str] = []

    def look() -> bool:
        found.extend(tallies.take(limit))
        tallies.done()
        return len(found) >= count

    until(look, 10, "the tallies")
    return found


def over(subject: NatsSubject) -> NatsTallies:
    return NatsTallies(QueueSettings(nats_url=subject.server.url, max_message_bytes=LIMIT_BYTES))


def test_what_the_broker_holds_is_told_once_and_without_its_events(subject: NatsSubject) -> None:
    other = Message("b:2-4", b"more", '{"tally":1,"events":3}')
    subject.queue.publish([ONE, other])
    assert subject.queue.publish([ONE])[0].duplicate
    tallies = over(subject)
    assert taken(tallies, 2) == [ONE.tally, other.tally]
    assert tallies.take(10) == []
    tallies.close()


def test_what_was_refused_is_not_told(subject: NatsSubject) -> None:
    asyncio.run(fresh_topology(subject.server.url, nats_stream_max_bytes=100_000))
    with pytest.raises(QueueUnavailable):
        subject.queue.publish([Message("big:0-1", b"x" * 150_000, '{"tally":1,"batch":"big"}')])
    subject.queue.publish([ONE])
    tallies = over(subject)
    assert taken(tallies, 1) == [ONE.tally]
    tallies.close()


def test_what_is_not_done_comes_again(subject: NatsSubject) -> None:
    subject.queue.note(Message("b:1", b"", "dropped"))
    tallies = over(subject)
    until(lambda: tallies.take(10) == ["dropped"], 10, "the tally")
    again = over(subject)
    # The consumer gives it again after the ack wait, which is short here.
    assert taken(again, 1) == ["dropped"]
    for each in (tallies, again):
        each.close()


def test_a_message_without_a_tally_tells_nothing(subject: NatsSubject) -> None:
    subject.queue.publish([Message("r:1", b"replayed"), ONE])
    tallies = over(subject)
    assert [told for told in taken(tallies, 2) if told] == [ONE.tally]
    tallies.close()


def test_many_are_taken_in_order_and_one_word_settles_all(subject: NatsSubject) -> None:
    subject.queue.publish([Message(f"m:{number}", b"x", str(number)) for number in range(500)])
    tallies = over(subject)
    assert taken(tallies, 500, 200) == [str(number) for number in range(500)]
    tallies.close()
    later = over(subject)
    assert later.take(10) == []
    later.close()


def test_a_broker_that_is_away_is_unavailable(subject: NatsSubject) -> None:
    tallies = over(subject)
    subject.server.kill()
    with pytest.raises(QueueUnavailable):
        tallies.take(1)
    with pytest.raises(QueueUnavailable):
        subject.queue.note(ONE)
    tallies.close()


@pytest.mark.parametrize("name", ["sqs-moto", "sqs-localstack", "memory"])
def test_elsewhere_they_travel_beside_their_messages(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with SUBJECTS[name](tmp_path) as subject:
        messages = [Message(f"b:{number}", b"x", f"tally {number}") for number in range(7)]
        assert [one.error for one in subject.queue.publish(messages)] == [""] * 7
        subject.queue.note(Message("b", b"", "apart"))
        told = getattr(subject.queue, "tallies", None)
        if told is None:
            found = []
            until(lambda: found.extend(subject.queue.receive(10, 0)) or len(found) >= 15, 10, "the messages")
            told = [one.body.decode() for one in found if one.body != b"x"]
        assert sorted(told) == sorted([*(f"tally {number}" for number in range(7)), "apart"])
