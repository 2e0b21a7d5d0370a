"""Events of people who were erased are dropped, whenever they come, and whoever records them beside the erasure."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService, Incoming
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain import ids, ledger
from functions.shared.domain.suppression import EARLIEST, LATEST, Entry, Position, Suppression, subject
from functions.shared.errors import StoreUnavailable
from schemas.validation import Validator
from tests.unit.enrich.test_service import EVENT, NOW, message

ADA = ids.named("user", "ada@example.com")
ALL = (Position(EARLIEST), Position(LATEST))
ADA_IS_GONE = Entry("user", subject("user", ADA), *ALL)


class Refusals:
    """What a store says: ``seen`` is what the function knew, ``there`` what is there."""

    def __init__(self, seen: Sequence[Entry] = (), there: Sequence[Entry] | None = None) -> None:
        self.seen, self.there = Suppression(seen), Suppression(seen if there is None else there)

    def known(self) -> Suppression:
        return self.seen

    def current(self) -> Suppression:
        self.seen = self.there
        return self.there


def service(tables: MemoryTables, refusals: Any, numbers: Any = None) -> EnrichService:
    numbers = numbers or itertools.count()
    return EnrichService(
        Recorder(tables, lambda: str(next(numbers))),
        Assembler(Validator(), []),
        build_steps(None),
        lambda: NOW,
        lambda *_: pytest.fail("a message could not be read"),
        suppressions=refusals,
    )


def event(n: int, **more: Any) -> dict[str, Any]:
    return {**EVENT, "event_id": ids.named("e", str(n)), **more}


def left(tables: MemoryTables) -> set[str]:
    return {row.event_id for _, row in tables.raw} | {row.event_id for _, row in tables.processed}


MINE = [event(1, user_id="ada@example.com"), event(2, user_id=ADA.upper(), anonymous_id="d")]
BAD = {**event(3, user_id="ada@example.com"), "platform": ""}
THEIRS = [event(4, user_id="bob"), event(5, anonymous_id="d"), event(6)]


def test_only_the_persons_events_are_dropped_and_the_ledger_knows() -> None:
    tables = MemoryTables()
    block = message(*MINE, BAD, *THEIRS)
    done = service(tables, Refusals([ADA_IS_GONE])).handle([block])
    assert left(tables) == {one["event_id"] for one in THEIRS}
    assert (done.again, done.counts["suppressed"]) == ({}, 3)
    assert "ada" not in repr(tables.raw)
    rows = [row for _, row in tables.ledger]
    account = ledger.account(rows, [place for row in rows for place in row.erased])
    assert (account.received, account.stored, account.erased, account.in_flight) == (6, 3, 3, 0)


def test_a_message_of_nothing_else_is_settled_too() -> None:
    tables = MemoryTables()
    assert service(tables, Refusals([ADA_IS_GONE])).handle([message(*MINE)]).again == {}
    assert left(tables) == set()
    assert {row.kind for _, row in tables.ledger} == {"outcome", "erased"}


def test_who_did_not_know_yet_removes_what_it_had_just_stored() -> None:
    tables = MemoryTables()
    done = service(tables, Refusals([], [ADA_IS_GONE])).handle([message(*MINE, *THEIRS)])
    assert left(tables) == {one["event_id"] for one in THEIRS}
    assert done.counts["suppressed"] == 2
    assert len(tables.touched) == 2


def test_what_one_left_that_died_is_removed_when_the_message_comes_again() -> None:
    tables, numbers = MemoryTables(), itertools.count()

    class Dying(Refusals):
        def current(self) -> Suppression:
            raise StoreUnavailable("The process is gone.")

    with pytest.raises(StoreUnavailable):
        service(tables, Dying(), numbers).handle([message(*MINE, *THEIRS)])
    assert len(left(tables)) == 5
    service(tables, Refusals([ADA_IS_GONE]), numbers).handle([message(*MINE, *THEIRS)])
    assert left(tables) == {one["event_id"] for one in THEIRS}


def test_another_delivery_of_the_same_event_that_is_somebody_elses_stays() -> None:
    tables, numbers = MemoryTables(), itertools.count()
    service(tables, Refusals(), numbers).handle([message(event(1, user_id="bob"))])
    service(tables, Refusals([ADA_IS_GONE]), numbers).handle([message(event(1, user_id="ada@example.com"))])
    assert [row.user_ref for _, row in tables.raw] == ["bob"]


@pytest.mark.parametrize(
    ("sender", "at", "dropped"),
    [
        ({"anonymous_id": "d"}, 9, False),
        ({"anonymous_id": "d"}, 10, True),
        ({"anonymous_id": "d"}, 19, True),
        ({"anonymous_id": "d"}, 20, False),
        ({"anonymous_id": "d", "user_id": "bob"}, 15, False),
        ({"anonymous_id": "other"}, 15, False),
        ({}, 15, False),
    ],
)
def test_a_device_is_refused_in_the_persons_turns_alone(sender: dict[str, str], at: int, dropped: bool) -> None:
    turn = Entry("device", subject("device", "d"), Position(NOW + 10), Position(NOW + 20))
    assert (
        Suppression([turn]).refuses(
            ids.user(sender["user_id"]) if "user_id" in sender else None,
            sender.get("anonymous_id", ""),
            "",
            Position(NOW + at, "x" if at == 15 else ""),
        )
        is dropped
    )


@pytest.mark.parametrize(("kind", "refused_in"), [("device", "live"), ("test_device", "test")])
def test_a_turn_in_one_environment_refuses_nothing_of_the_other(kind: Any, refused_in: str) -> None:
    refusals = Suppression([Entry(kind, subject(kind, "d"), *ALL)])
    for environment in ("live", "test"):
        refused = refusals.refuses(None, "d", "a:d", Position(NOW), environment)
        assert refused == (environment == refused_in)


def test_a_failed_event_of_a_device_that_was_named_to_an_erasure_is_dropped() -> None:
    tables = MemoryTables()
    until = Position(NOW + 10**18)
    gone = Entry("identity", subject("identity", "a:d"), Position(EARLIEST), until)
    bad = {"platform": "", "anonymous_id": "d"}
    stay = [event(3, **bad, user_id="bob"), event(4, **{**bad, "anonymous_id": "other"})]
    service(tables, Refusals([gone])).handle([message(event(1, **bad), event(2, anonymous_id="d"), *stay)])
    assert left(tables) == {one["event_id"] for one in stay}


def test_nobody_refused_costs_no_question() -> None:
    assert not Suppression()
    assert Suppression([ADA_IS_GONE])


@given(
    st.permutations(["store", "ask", "refuse", "look"]).filter(
        lambda order: order.index("store") < order.index("ask") and order.index("refuse") < order.index("look")
    )
)
def test_in_whatever_order_a_block_and_an_erasure_go_nothing_is_left(order: list[str]) -> None:
    """The recorder stores, then asks; the eraser refuses, then looks. One of both sees the other."""
    tables = MemoryTables()
    refusals = Refusals([], [])
    steps: dict[str, Callable[[], None]] = {
        "refuse": lambda: setattr(refusals, "there", Suppression([ADA_IS_GONE])),
        "look": lambda: _sweep(tables),
    }
    before = order[order.index("store") + 1 : order.index("ask")]

    class Between(Refusals):
        def known(self) -> Suppression:
            return refusals.seen

        def current(self) -> Suppression:
            for name in before:
                steps[name]()
            return refusals.there

    for name in order[: order.index("store")]:
        steps[name]()
    service(tables, Between()).handle([message(*MINE, *THEIRS)])
    for name in order[order.index("ask") + 1 :]:
        steps[name]()
    assert left(tables) == {one["event_id"] for one in THEIRS}


def _sweep(tables: MemoryTables) -> None:
    tables.raw = [one for one in tables.raw if one[1].user_id != ADA]
    tables.processed = [one for one in tables.processed if one[1].user_id != ADA]


def test_bytes_that_cannot_be_read_are_nobodys() -> None:
    tables = MemoryTables()
    lines = [b"{", b"7", b'{"user_id":7,"anonymous_id":[]}', b"\xff"]
    broken = message(*lines, ids={n: ids.named("e", str(n)) for n in range(4)})
    assert isinstance(broken, Incoming)
    service(tables, Refusals([ADA_IS_GONE])).handle([broken])
    assert len(tables.raw) == 4
