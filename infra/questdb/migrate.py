"""Brings a QuestDB up to the newest numbered migration. Safe to run twice, and by two at once.

Every statement is idempotent (``IF NOT EXISTS``), so all run each time and nothing has to be recorded. A migration
counts as applied when it changed a table or a column.
"""

import time
from pathlib import Path
from typing import Any

import httpx

from functions.shared.domain.series import TABLES

_FOLDER = Path(__file__).parent
_TIMEOUT_SECONDS = 20.0
_HOURS = {"HOUR": 1, "DAY": 24, "WEEK": 7 * 24}
# A column that is already there is answered by an error, in spite of IF NOT EXISTS.
_NOTHING_TO_DO = "statement is either no-op"
# Two at once: the later waits for the table of the earlier.
_BUSY = ("table busy", "could not lock", "table is being created", "name is reserved")
_TRIES, _PAUSE_SECONDS = 20, 0.1


class QuestDbError(RuntimeError):
    """QuestDB did not answer, or refused a statement."""


def migrations() -> list[tuple[str, str]]:
    """The numbered migrations, in order: name and text."""
    return [(path.stem, path.read_text()) for path in sorted(_FOLDER.glob("[0-9]*.sql"))]


def statements(text: str) -> list[str]:
    """The statements of a migration."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def migrate(url: str, ttl_days: int = 0, user: str = "admin", password: str = "quest") -> list[str]:  # noqa: S107
    """Apply what is missing, and return its names.

    ``ttl_days`` is how long each table keeps a row, by the newest row's time and not by the clock; 0 keeps all.
    Raises :class:`QuestDbError`.
    """
    with httpx.Client(base_url=url, auth=(user, password), timeout=_TIMEOUT_SECONDS) as client:
        server = _Server(client)
        applied, before = [], server.columns()
        for name, text in migrations():
            for statement in statements(text):
                server.run(statement)
            server.settle()
            after = server.columns()
            if after != before:
                applied.append(name)
            before = after
        for table, hours in server.ttl_hours().items():
            if hours != ttl_days * 24:
                server.run(f"ALTER TABLE {table} SET TTL {int(ttl_days)} DAYS")
        return applied


class _Server:
    """A QuestDB's HTTP interface."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def run(self, statement: str) -> list[list[Any]]:
        """The rows a statement answers with."""
        for _ in range(_TRIES):
            reason, rows = self._ask(statement)
            if not reason or reason.startswith(_NOTHING_TO_DO):
                return rows
            if not any(word in reason for word in _BUSY):
                break
            time.sleep(_PAUSE_SECONDS)
        raise QuestDbError(reason)

    def _ask(self, statement: str) -> tuple[str, list[list[Any]]]:
        try:
            answer = self._client.get("/exec", params={"query": statement})
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise QuestDbError(str(error) or type(error).__name__) from error
        if answer.is_success:
            return "", content.get("dataset", [])
        return str(content.get("error", answer.status_code)), []

    def settle(self) -> None:
        """Wait a little until what was taken is applied, which columns show only then."""
        sql = "SELECT name, writerTxn, sequencerTxn FROM wal_tables()"
        taken = {row[0]: row[2] for row in self.run(sql)}
        for _ in range(_TRIES):
            if all(row[1] >= taken.get(row[0], 0) for row in self.run(sql)):
                return
            time.sleep(_PAUSE_SECONDS)

    def columns(self) -> set[tuple[str, str]]:
        """Each table's columns."""
        rows = self.run("SELECT table_name, column_name FROM information_schema.columns()")
        return {(row[0], row[1]) for row in rows}

    def ttl_hours(self) -> dict[str, int]:
        """How long each of our tables keeps a row; a unit of another length is -1."""
        ours = {table.name for table in TABLES}
        rows = self.run("SELECT table_name, ttlValue, ttlUnit FROM tables()")
        return {row[0]: row[1] * _HOURS.get(row[2], -1) for row in rows if row[0] in ours}
