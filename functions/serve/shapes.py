"""Rows as events: which columns a request needs, and the answer made from their values.

What a client sent is never parsed and written anew: the stored text goes into the answer as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from functions.serve.catalogue import FIELDS, Field, Kind, Source
from functions.shared.domain import ids, instants

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder()
_EMPTY = msgspec.Raw(b"{}")
_ABSENT: Any = object()


class _Item(NamedTuple):
    """One thing in the answer: where it goes, which value of the row, and the path inside it, if any."""

    keys: tuple[str, ...]
    value: int
    kind: Kind
    inside: tuple[str, ...]


class Shape:
    """What of an event is answered, in the order of ``fields``; everything that is shown when that is empty."""

    def __init__(self, source: Source, fields: Sequence[str] = ()) -> None:
        self._leaves: list[Field] = []
        self._items: list[_Item] = []
        if not fields:
            for leaf in FIELDS[source]:
                if leaf.shown:
                    self._add(leaf, "")
        for name in fields:
            self._ask(source, name)
        self.columns = [".".join((*item.keys, *item.inside)) for item in self._items]

    @property
    def expressions(self) -> list[str]:
        """The SQL of the columns that are needed, in the order in which :meth:`event` wants their values."""
        return [leaf.expression for leaf in self._leaves]

    def event(self, values: Sequence[Any]) -> dict[str, Any]:
        """The nested answer, ready for ``msgspec.json.encode``."""
        answer: dict[str, Any] = {}
        for item in self._items:
            value = _SHOW[item.kind](values[item.value])
            if item.inside:
                value = inner(value, item.inside)
                if value is _ABSENT:
                    continue
            _put(answer, (*item.keys, *item.inside), value)
        return answer

    def flat(self, values: Sequence[Any]) -> list[str]:
        """The same as the cells of one line: objects and lists as JSON text, what is absent as nothing."""
        cells = []
        for item in self._items:
            value = _SHOW[item.kind](values[item.value])
            cells.append(_cell(inner(value, item.inside) if item.inside else value))
        return cells

    def _ask(self, source: Source, name: str) -> None:
        for leaf in FIELDS[source]:
            if leaf.path == name or leaf.path.startswith(name + "."):
                self._add(leaf, "")
            elif leaf.kind == "document" and name.startswith(leaf.path + "."):
                self._add(leaf, name[len(leaf.path) + 1 :])

    def _add(self, leaf: Field, inside: str) -> None:
        if leaf not in self._leaves:
            self._leaves.append(leaf)
        path = tuple(inside.split(".")) if inside else ()
        self._items.append(_Item(tuple(leaf.path.split(".")), self._leaves.index(leaf), leaf.kind, path))


def inner(document: msgspec.Raw, path: Sequence[str]) -> Any:
    """The text of what stands at a path, exactly as sent; a key may itself hold dots. Else a mark for "absent"."""
    try:
        members = _MEMBERS.decode(document)
    except msgspec.DecodeError:
        return _ABSENT
    for end in range(1, len(path) + 1):
        found = members.get(".".join(path[:end]))
        if found is not None:
            found = found if end == len(path) else inner(found, path[end:])
            if found is not _ABSENT:
                return found
    return _ABSENT


def _put(answer: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a nested key. What is already there as a whole holds the part too."""
    for key in keys[:-1]:
        answer = answer.setdefault(key, {})
        if not isinstance(answer, dict):
            return
    answer[keys[-1]] = value


def _cell(value: Any) -> str:
    if value is None or value is _ABSENT:
        return ""
    if isinstance(value, msgspec.Raw):
        text = bytes(value).strip()
        if text == b"null":
            return ""
        return str(_ANY.decode(text)) if text[:1] == b'"' else text.decode()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _document(text: str) -> msgspec.Raw:
    if not text:
        return _EMPTY
    # Line breaks between tokens would break NDJSON; inside a JSON string they cannot stand.
    if "\n" in text or "\r" in text:
        text = text.replace("\n", " ").replace("\r", " ")
    return msgspec.Raw(text.encode())


def _errors(text: str) -> Any:
    """The faults of an event. Enrich stores them as a JSON list; a text is the store's own reason."""
    if text.startswith("["):
        return _document(text)
    return [{"loc": [], "code": "store_refused", "message": text}] if text else []


def _same(value: Any) -> Any:
    return value


_SHOW: dict[Kind, Callable[[Any], Any]] = {
    "text": _same,
    "optional": lambda value: value or None,
    "uuid": _same,
    "session": lambda value: None if value == ids.NIL else value,
    "time": lambda value: instants.to_text(value) if value else None,
    "document": _document,
    "number": _same,
    "integer": _same,
    "boolean": lambda value: None if value is None else bool(value),
    "texts": _same,
    "errors": _errors,
}
