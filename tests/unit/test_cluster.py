"""What a cluster's name changes: durable inserts on most replicas, reads that know them, replicated tables."""

from typing import Any

import pytest

from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.errors import Misconfigured
from functions.shared.settings import EnrichSettings, StoreSettings, load
from infra.clickhouse.migrate import render


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
