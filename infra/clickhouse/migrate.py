"""Brings a ClickHouse up to the newest numbered migration. Safe to run twice, and by two at once.

Every statement is idempotent, so two that run at once do the same work; the ledger of applied migrations only saves
repeating it. With ``cluster`` the tables are created on the whole cluster with replicated engines.
"""

import json
import re
from pathlib import Path
from typing import Any

import clickhouse_connect

from functions.shared.settings import RetentionSettings
from infra.clickhouse.retention import apply as apply_retention

_FOLDER = Path(__file__).parent
# What was acknowledged must survive a power cut: a part is on the disk before its insert is answered.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"
# A resent insert is known by its token; a part has one file until it is large (a wide one has hundreds, each flushed);
# rows have numbers, so that a delete writes a small part instead of all parts anew. A part that was replaced is removed
# soon: what replaced it is on the disk, and what was erased is to be gone from there.
_LIFETIME = "old_parts_lifetime = 10"
_SOON = f"""{_LIFETIME}, cleanup_delay_period = 5, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 15"""
# A disk is not filled to its last byte by what comes in: what is at work then has room to come to its end.
_MARGIN = f"min_free_disk_bytes_to_perform_insert = {32 * 1024 * 1024}"
_TABLE = f"""{_DURABLE}, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 268435456,
    enable_block_number_column = 1, enable_block_offset_column = 1, {_SOON}, {_MARGIN}"""
# Tables of an older release.
_LATE = f"""SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
    AND name NOT LIKE '.%' AND (position(engine_full, '{_LIFETIME}') = 0 OR position(engine_full, '{_MARGIN}') = 0)
    ORDER BY name"""  # noqa: S608
_APPLIED = """CREATE TABLE IF NOT EXISTS schema_migrations {{on_cluster}}
(name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = {{engine}}
ORDER BY name SETTINGS {{settings}}"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def migrations() -> list[tuple[str, str]]:
    """The numbered migrations, in order: name and text."""
    return [(path.stem, path.read_text()) for path in sorted(_FOLDER.glob("[0-9]*.sql"))]


def render(text: str, cluster: str | None = None) -> list[str]:
    """The statements of a migration for one server, or for a cluster."""
    engine = "ReplicatedMergeTree" if cluster else "MergeTree"
    filled = (
        text.replace("{{on_cluster}}", f"ON CLUSTER {_checked(cluster)}" if cluster else "")
        .replace("{{engine}}", engine)
        .replace("{{replicated}}", "Replicated" if cluster else "")
        .replace("{{settings}}", _TABLE)
    )
    lines = [line for line in filled.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def migrate(
    url: str,
    database: str,
    cluster: str | None = None,
    user: str = "default",
    password: str = "",
    retention: RetentionSettings | None = None,
) -> list[str]:
    """Apply what is missing and return its names. ``retention`` says for how long rows are kept; None leaves that."""
    _checked(database)
    with clickhouse_connect.get_client(
        dsn=url, username=user, password=password, database="default", autogenerate_session_id=False
    ) as server:
        server.command(f"CREATE DATABASE IF NOT EXISTS {_checked(database)}{_on(cluster)}")
    with clickhouse_connect.get_client(
        dsn=url, username=user, password=password, database=database, autogenerate_session_id=False
    ) as client:
        applied = _apply(client, cluster)
        return applied + (_retained(client, retention, cluster) if retention else [])


def _apply(client: Any, cluster: str | None) -> list[str]:
    for statement in render(_APPLIED, cluster):
        client.command(statement)
    known = {row[0] for row in client.query("SELECT DISTINCT name FROM schema_migrations").result_rows}
    applied = []
    for name, text in migrations():
        if name in known:
            continue
        for statement in render(text, cluster):
            client.command(statement)
        # The token makes it one row when two apply the same migration at the same time.
        once = {"insert_deduplication_token": name, "async_insert": 0}
        row = json.dumps([name]).encode()
        client.raw_insert("schema_migrations", ["name"], row, settings=once, fmt="JSONCompactEachRow")
        applied.append(name)
    for row in client.query(_LATE).result_rows:
        client.command(f"ALTER TABLE {row[0]}{_on(cluster)} MODIFY SETTING {_SOON}, {_MARGIN}")
    return applied


def _retained(client: Any, settings: RetentionSettings, cluster: str | None) -> list[str]:
    return [f"retention of {table}" for table in apply_retention(client, settings, _on(cluster))]


def _on(cluster: str | None) -> str:
    return f" ON CLUSTER {_checked(cluster)}" if cluster else ""


def _checked(name: str | None) -> str:
    if not name or not _NAME.match(name):
        raise ValueError(f"{name!r} is no name of a database or cluster.")
    return name
