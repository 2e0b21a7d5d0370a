"""A patch: what a replay changes in an event's JSON before it is read again. Pure.

A path is dotted (``properties.plan``); a dot inside a name is written ``\\.``. Whatever a patch does not touch stays as
the text it was sent as. The event's id is not to be changed: it may only be dropped, where it is no id.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

MAX_OPERATIONS = 50
MAX_PATH = 1_000
MAX_DEPTH = 16
_DOT = re.compile(r"(?<!\\)\.")
_IDENTITY = "event_id"


class PatchError(ValueError):
    """The patch cannot be applied to this event, or is none; the message says why."""


class _Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    path: str


class Set(_Operation, frozen=True, tag="set"):
    """Give a field a value; objects on the way to it are made where there are none."""

    value: Any


class Rename(_Operation, frozen=True, tag="rename"):
    """Move a field to another path. Nothing happens where there is no such field."""

    to: str


class Drop(_Operation, frozen=True, tag="drop"):
    """Remove a field. Nothing happens where there is no such field."""


Operation = Set | Rename | Drop
_OPERATIONS = msgspec.json.Decoder(list[Operation])
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOTHING: Any = object()


class _Form(NamedTuple):
    """How an object is opened (None where it is none), closed again, and a value of the patch is put into it."""

    opened: Callable[[Any], dict[str, Any] | None]
    closed: Callable[[dict[str, Any]], Any]
    value: Callable[[Any], Any]


def read(text: str | bytes) -> list[Operation]:
    """The operations of a JSON list. Raises :class:`PatchError`."""
    try:
        operations = _OPERATIONS.decode(text)
    except msgspec.DecodeError as error:
        raise PatchError(str(error)) from error
    check(operations)
    return operations


def check(operations: Sequence[Operation]) -> None:
    """Raises :class:`PatchError` for what no event could be patched with."""
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(f"A patch may have {MAX_OPERATIONS} operations.")
    for one in operations:
        paths = [_names(one.path)] + ([_names(one.to)] if isinstance(one, Rename) else [])
        if any(path[0] == _IDENTITY for path in paths) and not (isinstance(one, Drop) and len(paths[0]) == 1):
            raise PatchError("event_id: an event keeps its id, and a patch may only drop what is none.")
        if isinstance(one, Rename) and _inside(paths[0], paths[1]):
            raise PatchError(f"{one.path}: a field cannot be moved into itself.")


def text(operations: Sequence[Operation]) -> str:
    """The operations as JSON, as :func:`read` takes them; the empty text for none."""
    return msgspec.json.encode(list(operations)).decode() if operations else ""


def apply(operations: Sequence[Operation], line: bytes) -> bytes:
    """The event's JSON with the patch. Raises :class:`PatchError` where it cannot be applied."""
    members, form = _opened(line)
    before = dict(members)
    for one in operations:
        _applied(one, members, form)
    if form is _LENIENT:
        return json.dumps(members, separators=(",", ":")).encode()
    return line if _same(before, members) else bytes(msgspec.json.encode(members))


def _applied(one: Operation, members: dict[str, Any], form: _Form) -> None:
    path = _names(one.path)
    if isinstance(one, Set):
        _put(members, path, form.value(one.value), form)
        return
    found = _take(members, path, form)
    if isinstance(one, Rename) and found is not _NOTHING:
        _put(members, _names(one.to), found, form)


def _put(members: dict[str, Any], path: Sequence[str], value: Any, form: _Form) -> None:
    name, *rest = path
    if not rest:
        members[name] = value
        return
    inner = form.opened(members[name]) if name in members else {}
    if inner is None:
        raise PatchError(f"{name} is no object, so it has no field {rest[0]}.")
    _put(inner, rest, value, form)
    members[name] = form.closed(inner)


def _take(members: dict[str, Any], path: Sequence[str], form: _Form) -> Any:
    name, *rest = path
    if name not in members:
        return _NOTHING
    if not rest:
        return members.pop(name)
    inner = form.opened(members[name])
    if inner is None:
        return _NOTHING
    found = _take(inner, rest, form)
    if found is not _NOTHING:
        members[name] = form.closed(inner)
    return found


def _opened(line: bytes) -> tuple[dict[str, Any], _Form]:
    """The event's fields as their texts; as values where its JSON is of the kind that not every reader takes."""
    try:
        return _MEMBERS.decode(line), _STRICT
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PatchError("It is not JSON, so it has no fields.") from error
    if not isinstance(value, dict):
        raise PatchError("It is no object, so it has no fields.")
    return value, _LENIENT


def _names(path: str) -> list[str]:
    """The names of a path. Raises :class:`PatchError`."""
    names = [name.replace("\\.", ".") for name in _DOT.split(path)]
    if not all(names) or len(path) > MAX_PATH or len(names) > MAX_DEPTH:
        raise PatchError(f"{path[:80]!r} is no path; one looks like properties.plan.")
    return names


def _inside(path: list[str], other: list[str]) -> bool:
    return len(other) > len(path) and other[: len(path)] == path


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return list(before) == list(after) and all(bytes(before[name]) == bytes(after[name]) for name in before)


def _members(raw: Any) -> dict[str, Any] | None:
    try:
        return _MEMBERS.decode(raw)
    except msgspec.DecodeError:
        return None


_STRICT = _Form(_members, lambda members: msgspec.Raw(msgspec.json.encode(members)), lambda value: _raw(value))
_LENIENT = _Form(lambda value: value if isinstance(value, dict) else None, lambda members: members, lambda value: value)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
