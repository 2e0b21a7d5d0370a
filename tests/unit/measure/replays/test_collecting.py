"""Whatever one take of the broker holds, no question to the store is longer than an address may be."""

import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import pytest

from functions.measure.database import some
from functions.measure.replays.collecting import Collector
from functions.measure.replays.letters import Death, Letter
from functions.measure.replays.refusing import Refusals
from functions.shared.domain.privacy import Redactor
from functions.shared.domain.suppression import EARLIEST, Entry, Position, Suppression, subject
from functions.shared.ports import DeadMessage

NOW = 1_750_000_000_000_000_000


def letter(**more: Any) -> Letter:
    texts = dict.fromkeys(Letter._fields, "")
    own = {"received_at": NOW, "queued_at": NOW, "dead_at": NOW, "batch_index": 0, "user_id": None, "readable": True}
    ids = {name: str(uuid.uuid4()) for name in ("batch_id", "dead_id", "event_id")}
    return Letter(**{**texts, **own, **ids, **more})


class Store:
    """Notes how many ids each statement was given; all rows are there."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def rows(self, _: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        [ids] = parameters.values()
        self.asked.append(len(ids))
        yield from [[len(ids)]] if "ids" in parameters else [[NOW, batch, 0, 2, 1, 1] for batch in ids]

    def text(self, *_: Any) -> Generator[bytes]:
        raise NotImplementedError

    def run(self, _: str, parameters: Mapping[str, Any]) -> None:
        self.asked.append(len(parameters["ids"]))

    def insert(self, *_: Any) -> None:
        """Nothing is kept."""


class Box:
    """A broker with one take of single events that a replay brought."""

    def __init__(self, count: int) -> None:
        self.messages = [DeadMessage(b"", "cause", 1, NOW, NOW, "m", 1, "handle")]
        self.deaths = [Death(letter(), 7) for _ in range(count)]

    def read(self, *_: Any) -> Iterator[Death]:
        return iter(self.deaths)

    def take(self, _: int, after: int = 0) -> list[DeadMessage]:
        return [] if after else self.messages

    def remove(self, _: Sequence[DeadMessage]) -> None:
        self.messages = []


@pytest.mark.parametrize(("count", "sizes"), [(1_000, [1_000]), (1_001, [1_000, 1]), (5_000, [1_000] * 5)])
def test_states_of_many_batches_are_asked_for_some_at_a_time(
    count: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, store = Box(count), Store()
    monkeypatch.setattr("functions.measure.replays.collecting.read", box.read)
    refusals = Refusals(Suppression, store, lambda _: None)
    assert Collector(box, store, Redactor(), refusals).run(lambda: False) == count
    assert store.asked == sizes


def test_many_letters_are_forgotten_some_at_a_time() -> None:
    store = Store()
    Refusals(Suppression, store, lambda _: None).forget([Death(letter(), 0) for _ in range(1_001)])
    assert store.asked == [1_000, 1_000, 1, 1]


def test_some_at_a_time_are_all_of_them() -> None:
    assert list(some([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(some([])) == []


def test_a_letter_of_a_device_that_was_named_to_an_erasure_is_refused() -> None:
    refused = Entry("identity", subject("identity", "a:d"), Position(EARLIEST), Position(NOW + 1))
    deaths = [
        Death(letter(**who), 0)
        for who in (
            {"anonymous_id": "d"}, {"anonymous_id": "d", "user_id": str(uuid.uuid4())},
            {"anonymous_id": "d", "received_at": NOW + 1}, {"anonymous_id": "other"}, {},
        )
    ]  # fmt: skip
    assert Refusals(lambda: Suppression([refused]), Store(), lambda _: None).of(deaths) == deaths[:1]
