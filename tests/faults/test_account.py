"""The witness's book read, and the comparison that has to see what it is there to see."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults import account as accounts
from tests.faults import broker
from tests.faults.account import Account, Sent
from tests.faults.compare import Stored, missing, stores
from tests.faults.findings import Findings

A, B, C = (f"0000000{number}-0000-4000-8000-000000000000" for number in (1, 2, 3))


def told(event_id: str, valid: bool = True) -> dict[str, Any]:
    return {"id": event_id, "valid": valid, "name": "n", "user": "u", "true": 1.0}


def sent(*events: dict[str, Any]) -> dict[str, Any]:
    return {"sent": "1", "events": list(events), "at": 1.0}


def answer(status: int, **more: Any) -> dict[str, Any]:
    return {"answer": "1", "status": status, "at": 2.0, **more}


def read(folder: Path, *lines: dict[str, Any], cut: str = "") -> Account:
    book = folder / "book.jsonl"
    book.write_text("".join(json.dumps(line) + "\n" for line in lines) + cut)
    return accounts.read(book)


def fates(account: Account) -> tuple[set[str], set[str], set[str]]:
    return set(account.counted), set(account.failed), account.unsure


def test_each_event_of_an_answered_request_has_its_own_fate(tmp_path: Path) -> None:
    results = [[1, B, "drop"], [2, C, "duplicate"]]
    account = read(tmp_path, sent(told(A), told(B, False), told(C)), answer(202, results=results))
    assert (fates(account), account.odd) == (({A, C}, {B}, set()), [])


@pytest.mark.parametrize("status", [0, 429, 503])
def test_what_was_not_answered_may_be_stored_or_not(tmp_path: Path, status: int) -> None:
    assert fates(read(tmp_path, sent(told(A)), answer(status))) == (set(), set(), {A})


def test_a_later_answer_settles_it(tmp_path: Path) -> None:
    assert fates(read(tmp_path, sent(told(A)), answer(503), answer(202))) == ({A}, set(), set())


def test_what_is_to_be_sent_again_is_not_acknowledged(tmp_path: Path) -> None:
    account = read(tmp_path, sent(told(A), told(B)), answer(202, results=[[1, B, "retry"]]))
    assert fates(account) == ({A}, set(), {B})


def test_a_valid_delivery_outranks_one_that_was_refused_whichever_came_first(tmp_path: Path) -> None:
    mended = {**sent(told(A)), "sent": "2"}
    bad, good = answer(400, errors=[[0, A]]), {**answer(202), "answer": "2"}
    for lines in ((bad, good), (good, bad)):
        assert fates(read(tmp_path, sent(told(A, False)), mended, *lines)) == ({A}, set(), set())


@pytest.mark.parametrize(("valid", "line"), [(True, answer(400, errors=[[0, A]])), (False, answer(202))])
def test_an_answer_that_contradicts_what_was_sent_is_odd(tmp_path: Path, valid: bool, line: dict[str, Any]) -> None:
    assert read(tmp_path, sent(told(A, valid)), line).odd


def test_ids_that_the_answer_assigned_are_those_that_count(tmp_path: Path) -> None:
    account = read(tmp_path, sent(told("")), answer(202, results=[[0, A, "ok"]]))
    assert fates(account) == ({A}, set(), set())


def test_half_a_line_is_not_read(tmp_path: Path) -> None:
    assert fates(read(tmp_path, sent(told(A)), cut='{"answer": "1", "sta')) == (set(), set(), {A})


def found(processed: list[str], raw: list[tuple[str, str]]) -> Stored:
    statuses: dict[str, list[str]] = {}
    for event_id, status in raw:
        statuses.setdefault(event_id, []).append(status)
    return Stored(Counter(processed), statuses)


def judged(there: Stored) -> tuple[Findings, set[str]]:
    """One event is acknowledged, one refused."""
    account = Account(counted={A: Sent(A, True, "n", "u", 1.0)}, failed={B: Sent(B, False, "n", "u", 1.0)})
    findings = Findings()
    stores(findings, account, there)
    return findings, missing(account, there)


GOOD = found([A], [(A, "processed"), (B, "failed")])


def test_nothing_is_wrong_with_what_is_as_it_was_told() -> None:
    assert judged(GOOD) == (Findings(), set())


@pytest.mark.parametrize(
    ("there", "lost", "twice"),
    [
        (found([], [(A, "processed"), (B, "failed")]), {A}, set()),
        (found([A], [(A, "processed")]), {B}, set()),
        (found([A, A], [(A, "processed"), (B, "failed")]), set(), {A}),
        (found([A], [(A, "processed"), (A, "processed"), (B, "failed")]), set(), {A}),
        (found([A, B], [(A, "processed"), (B, "processed")]), set(), set()),
        (found([A], [(A, "failed"), (B, "failed")]), set(), set()),
        (found([A, C], [(A, "processed"), (C, "processed"), (B, "failed")]), set(), set()),
    ],
    ids=["lost", "refused and invisible", "processed twice", "raw twice", "refused, processed", "failed", "never sent"],
)
def test_what_is_wrong_is_seen(there: Stored, lost: set[str], twice: set[str]) -> None:
    findings, _ = judged(there)
    assert (findings.lost, findings.twice, bool(findings.problems)) == (lost, twice, True)


def ack(delivered: int) -> bytes:
    return b"PUB $JS.ACK.WEIR_EVENTS.enrich.%d.7.9.1700000000000000000.0 4\r\n+ACK\r\n" % delivered


def test_acknowledgements_are_refusals_until_the_fifth_delivery() -> None:
    redelivering = broker.Redelivering(5)
    changed = redelivering(ack(1) + b"PING\r\n" + ack(4) + ack(5))
    assert changed == ack(1)[:-6] + b"-NAK\r\n" + b"PING\r\n" + ack(4)[:-6] + b"-NAK\r\n" + ack(5)
    assert redelivering.completed == 1
