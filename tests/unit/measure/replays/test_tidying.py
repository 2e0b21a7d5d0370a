"""What is settled goes by lists of keys, some at a time: each replica of a cluster runs the same statement."""

import uuid
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from functions.measure.replays.tidying import tidy


class Settled:
    """A store with so many letters that are old and resolved."""

    def __init__(self, count: int) -> None:
        self.keys: list[list[Any]] = [["2026-01-01 00:00:00.000000001", str(uuid.uuid4()), n] for n in range(count)]
        self.statements: list[str] = []

    def rows(self, sql: str, _: Mapping[str, Any]) -> Generator[list[Any]]:
        yield from [[len(self.keys)]] if "count()" in sql else self.keys[:1_000]

    def text(self, *_: Any) -> Generator[bytes]:
        raise NotImplementedError

    def run(self, sql: str, _: Mapping[str, Any]) -> None:
        self.statements.append(sql)
        if "resolved' AND at <" in sql:
            self.keys = [key for key in self.keys if key[1] not in sql]


@pytest.mark.parametrize(("count", "rounds"), [(0, 0), (1, 1), (999, 1), (1_001, 2)])
def test_all_go_some_at_a_time_and_no_statement_asks_a_query(count: int, rounds: int) -> None:
    store = Settled(count)
    assert tidy(store, 1, 0) == count
    assert (store.keys, len(store.statements)) == ([], 3 * rounds)
    assert not any("SELECT" in sql or len(sql) > 200_000 for sql in store.statements)
