"""Where the statements of the batches run, as a narrow protocol."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Readable(Protocol):
    """What questions can be asked of. Raises :class:`~functions.shared.errors.StoreUnavailable`."""

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive."""
        ...


class Database(Readable, Protocol):
    """All raise :class:`~functions.shared.errors.StoreUnavailable` when it is away, or a statement fails."""

    def text(self, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        """The answer of a query of one column of texts, a line a row, in pieces as they arrive.

        A store that fails midway may say so in the last of them.
        """
        ...

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end."""
        ...


def one(database: Readable, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """The only row of a query."""
    return next(iter(list(database.rows(sql, parameters or {}))))


def some(values: Sequence[T], size: int = 1_000) -> Iterator[Sequence[T]]:
    """Values some at a time: parameters travel in the address, where a server takes 128 KiB of one, 3,300 ids."""
    return (values[first : first + size] for first in range(0, len(values), size))
