"""What a cluster's name changes: durable inserts on most replicas, reads that know them, replicated tables."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.errors import Misconfigured
from functions.shared.settings import StoreSettings, load
from functions.shared.settings.enrich import EnrichSettings
from infra.clickhouse.migrate import render

ROOT = Path(__file__).parents[2]


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
