"""The keyring is looked at anew soon enough, and outlives an absence of its source for a while."""

import pytest

from functions.shared.adapters.keys_memory import MemoryKeys
from functions.shared.domain import key_document
from functions.shared.domain.instants import SECOND
from functions.shared.domain.keys import Digest, Key, hash_of
from functions.shared.errors import KeysUnavailable, Unauthorized
from functions.shared.key_cache import KeyCache


def document(*tokens: str) -> str:
    return key_document.write([Key(key_id=f"live_{one}", digests=(Digest(hash_of(one).hex()),)) for one in tokens])


class Subject:
    def __init__(self, text: str = "", **more: float) -> None:
        self.source, self.now, self.stale, self.reads = MemoryKeys(text), 1000 * SECOND, 0, 0
        self.cache = KeyCache(self, lambda: self.now, self._told, refresh_seconds=20, grace_seconds=3600, **more)

    def read(self) -> object:
        self.reads += 1
        return self.source.read()

    def replace(self, text: str, version: str) -> None:
        raise AssertionError

    def _told(self, _: Exception) -> None:
        self.stale += 1

    def knows(self, token: str, after_seconds: float = 0) -> bool:
        self.now += round(after_seconds * SECOND)
        return self.cache.ring()._known.get(hash_of(token)[:4]) is not None


def test_what_changed_is_known_within_the_time_and_the_source_is_not_asked_before() -> None:
    subject = Subject(document("a"))
    assert subject.knows("a")
    subject.source.replace(document("b"), "1")
    assert subject.knows("a", 19.9)
    assert subject.reads == 1
    assert subject.knows("b", 0.2)
    assert not subject.knows("a")
    assert subject.reads == 2


def test_a_key_that_was_just_made_is_good_within_seconds_and_guesses_do_not_ask_the_source_each_time() -> None:
    subject = Subject(document("a"))
    assert subject.cache.find("a").key_id == "live_a"
    subject.source.replace(document("a", "b"), "1")
    subject.now += 5 * SECOND - 1
    assert (refused(subject, "b"), subject.reads) == ("key_unknown", 1)
    subject.now += 1
    assert (subject.cache.find("b").key_id, subject.reads) == ("live_b", 2)
    assert [refused(subject, f"guess{number}") for number in range(10)] == ["key_unknown"] * 10
    assert subject.reads == 2


def test_a_key_that_was_just_made_is_good_at_once_where_the_source_is_near() -> None:
    subject = Subject(document("a"), unknown_seconds=0)
    assert refused(subject, "b") == "key_unknown"
    subject.source.replace(document("a", "b"), "1")
    assert subject.cache.find("b").key_id == "live_b"


def test_an_unknown_key_is_refused_as_such_while_the_source_is_away() -> None:
    subject = Subject(document("a"))
    assert subject.cache.find("a").key_id == "live_a"
    subject.source.available = False
    subject.now += 6 * SECOND
    assert (refused(subject, "b"), subject.cache.find("a").key_id) == ("key_unknown", "live_a")


def refused(subject: Subject, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        subject.cache.find(token)
    return caught.value.code


@pytest.mark.parametrize("bad", ["", "nonsense"])
def test_while_the_source_is_away_the_last_ring_holds_and_the_absence_is_told(bad: str) -> None:
    subject = Subject(document("a"))
    assert subject.knows("a")
    if bad:
        subject.source.replace(bad, "1")
    else:
        subject.source.available = False
    assert subject.knows("a", 21)
    assert (subject.stale, subject.reads) == (1, 2)
    # Not asked by each request: after a while again.
    assert subject.knows("a", 4.9)
    assert subject.reads == 2
    assert subject.knows("a", 0.2)
    assert subject.reads == 3
    assert subject.knows("a", 3573)
    with pytest.raises(KeysUnavailable):
        subject.knows("a", 30)


def test_a_source_that_is_back_is_believed_at_once() -> None:
    subject = Subject(document("a"))
    subject.source.available = False
    with pytest.raises(KeysUnavailable):
        subject.knows("a")
    subject.source.available = True
    with pytest.raises(KeysUnavailable):
        subject.knows("a", 4.9)
    assert subject.knows("a", 0.2)


def test_a_clock_that_was_set_back_makes_nothing_last_for_ever() -> None:
    subject = Subject(document("a"))
    assert subject.knows("a")
    subject.source.replace(document("b"), "1")
    assert subject.knows("b", -900)


def test_each_look_at_the_source_is_told_and_what_is_known_costs_none() -> None:
    source, now, looks = MemoryKeys(document("a")), [1000 * SECOND], []
    cache = KeyCache(source, lambda: now[0], lambda _: None, 20, 3600, lambda: looks.append(1))
    for _ in range(41):
        cache.ring()
        now[0] += SECOND
    assert len(looks) == 3
