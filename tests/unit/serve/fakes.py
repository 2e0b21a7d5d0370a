"""A store that answers from lists, and rows to put into it."""

from collections.abc import Callable, Generator, Mapping
from typing import Any

from functions.serve.catalogue import FIELDS, Source
from functions.serve.service import ServeService
from functions.shared.domain import ids
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import Depth

NOW = 1_767_225_600_000_000_000
EVENT_ID = "018f0000-0000-7000-8000-00000000000a"
SECOND = 1_000_000_000

_BY_KIND: dict[str, Any] = {
    "text": "x", "optional": "", "uuid": EVENT_ID, "session": ids.NIL, "time": NOW, "document": "{}",
    "number": None, "integer": None, "boolean": False, "texts": [], "errors": "",
}  # fmt: skip


def values(source: Source = "processed", **changed: Any) -> list[Any]:
    """The values of one event as the store gives them, in the catalogue's order; ``changed`` by column."""
    return [changed.get(field.column, _BY_KIND[field.kind]) for field in FIELDS[source] if field.shown]


def key(number: int, at: int | None = None) -> list[Any]:
    """The order key of a row and the store's clock."""
    return [NOW - number * SECOND if at is None else at, f"018f0000-0000-7000-8000-{number:012x}", NOW]


class FakeReader:
    """Answers each statement by the first reply whose words all stand in it, and remembers what was asked."""

    def __init__(self, *replies: tuple[str, list[list[Any]]]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.given = 0
        self.closed = 0
        self.down = False
        self.answer: Callable[[str], list[list[Any]]] = self._reply

    def rows(self, sql: str, parameters: Mapping[str, Any], seconds: float | None = None) -> Generator[list[Any]]:
        self.asked.append((sql, dict(parameters)))
        if self.down:
            raise StoreUnavailable("The store did not answer.", 2)
        return self._give(self.answer(sql))

    def _reply(self, sql: str) -> list[list[Any]]:
        found = (rows for words, rows in self.replies if all(word in sql for word in words.split()))
        return next(found, [])

    def _give(self, rows: list[list[Any]]) -> Generator[list[Any]]:
        try:
            for row in rows:
                self.given += 1
                yield row
        finally:
            self.closed += 1


def service(reader: FakeReader, depth: Callable[[], Depth] = lambda: Depth(1, 2, 3), **more: Any) -> ServeService:
    """A service over a fake store."""
    return ServeService(reader, depth, more.pop("probes", ()), lambda: NOW, **more)
