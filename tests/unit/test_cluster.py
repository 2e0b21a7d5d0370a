"""What a cluster's name changes: durable inserts on most replicas, reads that know them, replicated tables."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from functions.enrich.recording import _claim
from functions.enrich.tables import Touch
from functions.shared.adapters.clickhouse_link import Turns
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.domain import ids
from functions.shared.errors import Misconfigured, StoreRefused, StoreUnavailable
from functions.shared.settings import StoreSettings, load
from functions.shared.settings.enrich import EnrichSettings
from infra.clickhouse.migrate import render
from schemas.rows import LedgerRow
from tests.support.deliveries import delivery

ROOT = Path(__file__).parents[2]
TOUCH = Touch(minutes=[], event_ids=[], events=0)


def sent(cluster: str) -> tuple[dict[str, Any], dict[str, Any]]:
    tables = ClickHouseTables(load(StoreSettings, {"WEIR_CLICKHOUSE_CLUSTER": cluster}))
    return tables._insert_settings, tables._select_settings


def test_on_a_cluster_an_insert_is_on_most_replicas_and_a_read_knows_it() -> None:
    inserts, selects = sent("events")
    assert (inserts["insert_quorum"], inserts["insert_quorum_parallel"]) == ("auto", 0)
    assert selects["select_sequential_consistency"] == 1


def test_without_one_nothing_waits_for_replicas() -> None:
    inserts, selects = sent("")
    assert "insert_quorum" not in inserts
    assert "select_sequential_consistency" not in selects


class Busy:
    """The driver of a store that refuses so many inserts, since another still awaits its quorum; and a clock."""

    def __init__(self, refusals: int, code: int = 286) -> None:
        """Each insert is refused so often."""
        self.refusals, self.code = refusals, code
        self.now, self.pauses = 0.0, list[float]()
        self.tokens, self.bodies = list[str](), list[bytes]()

    def client(self) -> "Busy":
        return self

    def raw_insert(self, _table: str, _names: list[str], body: Any, settings: dict[str, Any], fmt: str) -> None:
        self.tokens.append(settings["insert_deduplication_token"])
        self.bodies.append(b"".join(body))
        if self.tokens.count(self.tokens[-1]) <= self.refusals:
            text = f"Code: {self.code}. DB::Exception: Quorum for previous write has not been satisfied yet."
            raise DatabaseError(text, code=self.code)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


def writing_to(store: Busy, seconds: float, chance: float) -> ClickHouseTables:
    """As it is wired, but for the clock: a quarter of what a statement may take is ``seconds``."""
    settings = load(
        StoreSettings, {"WEIR_CLICKHOUSE_CLUSTER": "events", "WEIR_CLICKHOUSE_TIMEOUT_SECONDS": str(4 * seconds)}
    )
    tables = ClickHouseTables(settings)
    tables._turns = Turns(tables._turns._seconds, lambda: store.now, store.sleep, lambda: chance)
    tables._link = store  # type: ignore[assignment]
    return tables


def record(tables: ClickHouseTables) -> None:
    """A block of one event, which goes into each of the five tables."""
    one = delivery()
    assert one.processed is not None
    tables.claim("a", [_claim(one)])
    tables.insert_processed("a", [one.processed])
    tables.insert_raw("a", [one.raw])
    tables.note("a", [LedgerRow(0, "k", ids.NIL, 1, 0, "outcome", events=1)])
    tables.touch("a", TOUCH)


# Pauses of 50, 100, 200 and 400 ms at most, then of half a second: in two seconds there is time for six.
FIT = 6


@pytest.mark.parametrize("refusals", [0, 1, FIT])
def test_an_insert_that_meets_another_ones_quorum_waits_for_its_turn(refusals: int) -> None:
    store = Busy(refusals)
    writing_to(store, 2.0, 1.0).touch("a", TOUCH)
    assert len(store.pauses) == refusals
    # The same bytes under the same token: of what is there already nothing is inserted again.
    assert (len(set(store.tokens)), len(set(store.bodies)), len(store.bodies)) == (1, 1, refusals + 1)


def test_it_waits_no_longer_than_its_share_and_then_the_message_comes_again() -> None:
    store = Busy(FIT + 1)
    with pytest.raises(StoreUnavailable):
        writing_to(store, 2.0, 1.0).touch("a", TOUCH)
    assert store.pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])


def test_all_inserts_of_a_block_may_wait_and_together_no_longer_than_half_of_what_their_function_has() -> None:
    seconds = load(StoreSettings, {}).clickhouse_timeout_seconds / 4
    fit = 4 + int((seconds - 0.75) / 0.5)
    store = Busy(fit)
    record(writing_to(store, seconds, 1.0))
    assert (len(set(store.tokens)), len(store.pauses)) == (5, 5 * fit)
    assert store.now <= _enrich_timeout() / 2
    store = Busy(fit + 1)
    with pytest.raises(StoreUnavailable):
        record(writing_to(store, seconds, 1.0))
    assert store.now <= seconds


def _enrich_timeout() -> int:
    function = (ROOT / "template.yaml").read_text().partition("  EnrichFunction:\n")[2]
    found = re.search(r"Timeout: (\d+)", function)
    assert found
    return int(found[1])


def test_those_who_were_refused_together_do_not_wait_alike() -> None:
    longer, shorter = Busy(3), Busy(3)
    for store, chance in ((longer, 0.9), (shorter, 0.2)):
        writing_to(store, 2.0, chance).touch("a", TOUCH)
    assert [a > b for a, b in zip(longer.pauses, shorter.pauses, strict=True)] == [True] * 3


@pytest.mark.parametrize(("code", "raised"), [(117, StoreRefused), (285, StoreUnavailable)])
def test_no_other_error_is_waited_for(code: int, raised: type[Exception]) -> None:
    store = Busy(1, code)
    with pytest.raises(raised):
        writing_to(store, 2.0, 1.0).touch("a", TOUCH)
    assert store.pauses == []


@pytest.mark.parametrize("name", ["a b", "a'b", "1a", "a;b"])
def test_a_name_that_could_leave_its_place_in_a_statement_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="WEIR_CLICKHOUSE_CLUSTER"):
        load(EnrichSettings, {"WEIR_CLICKHOUSE_CLUSTER": name})


def test_migrations_make_replicated_tables_on_it() -> None:
    text = "CREATE TABLE t {{on_cluster}} (a Int8) ENGINE = {{replicated}}MergeTree ORDER BY a"
    assert render(text, "events") == [
        "CREATE TABLE t ON CLUSTER events (a Int8) ENGINE = ReplicatedMergeTree ORDER BY a"
    ]


def module_texts(path: Path) -> Iterator[str]:
    """The texts that a module has, with its own names and those it imports put into them."""
    source = path.read_text()
    if not re.search("ALTER TABLE|DELETE", source):
        return
    tree = ast.parse(source)
    known = vars(importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_text(value, known) for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def _text(node: ast.expr, known: dict[str, Any]) -> str:
    if isinstance(node, ast.FormattedValue):
        source = ast.unparse(node.value)
        return str(known.get(source, f"<{source}>"))
    return str(ast.literal_eval(node))


# What cannot be a query: lists of values, and a statement that is looked at where it is written.
LITERAL = re.compile(r"<(_are\(doomed\)|_listed\(\w+\)|merged|table|place|statement)>")
MUTATION = re.compile(r"\b(ALTER TABLE .*\b(DELETE|UPDATE)\b.*|DELETE FROM .*)\bWHERE\b", re.DOTALL)


def mutations() -> list[str]:
    found = [text for path in sorted((ROOT / "functions").rglob("*.py")) for text in module_texts(path)]
    return [text for text in found if MUTATION.search(text)]


def test_a_mutation_that_asks_a_query_says_that_all_replicas_come_to_the_same() -> None:
    """A replicated table refuses it otherwise, and a test without a cluster would never know."""
    found = mutations()
    assert len(found) >= 8
    asking = [text for text in found if re.search(r"\bSELECT\b|<\w", LITERAL.sub("", text))]
    assert [text for text in asking if "allow_nondeterministic_mutations = 1" not in text] == []
    assert any("DELETE" in text and "<where>" in text for text in asking), "that of the erasures"
