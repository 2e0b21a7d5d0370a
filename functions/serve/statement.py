"""A statement for the store: SQL of ours, and the client's values beside it."""

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, Protocol

Row = list[Any]


class Statement(NamedTuple):
    """SQL with ``{name:Type}`` placeholders, and their values."""

    sql: str
    parameters: Mapping[str, Any]


class Reader(Protocol):
    """Where statements are answered. Raises :class:`~functions.shared.errors.StoreUnavailable`."""

    def rows(self, sql: str, parameters: Mapping[str, Any], seconds: float | None = None) -> Generator[Row]:
        """The rows as they arrive; closing the iterator ends the query. ``seconds`` bounds it (default: the setting).

        64-bit integers come as ``int``, UUIDs as text, NULL as ``None``.
        """
        ...
