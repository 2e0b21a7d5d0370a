"""Where the statements of the batches run, as a narrow protocol."""

from collections.abc import Generator, Mapping
from typing import Any, Protocol


class Database(Protocol):
    """All raise :class:`~functions.shared.errors.StoreUnavailable` when it is away, or a statement fails."""

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end."""
        ...

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive."""
        ...


def one(database: Database, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """The only row of a query."""
    return next(iter(list(database.rows(sql, parameters or {}))))
