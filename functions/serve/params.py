"""The query string of ``GET /api/v1/events`` as a typed, normalised query. Whatever is wrong is named."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple, NoReturn

from functions.serve.catalogue import FIELDS, Source
from functions.shared.domain import ids, instants
from functions.shared.errors import BadRequest
from schemas.event import TIMESTAMP_PATTERN

Params = Mapping[str, Sequence[str]]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "contains", "exists"]
Document = Literal["properties", "context"]
OrderBy = Literal["timestamp", "stored_at"]

OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "contains", "exists")
STATUSES = ("processed", "failed", "pending")
MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_VALUES = 200
MAX_CHARACTERS = 16 * 1024
MAX_NAME = 120

_DOCUMENT = re.compile(r"(properties|context)\.(.+?)(?:\[(\w*)\])?\Z", re.DOTALL)
# What the store itself would read as "of this type" and "the object at".
_SPECIAL = re.compile(r"(?:^|\.)[:^]`")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_TIME = re.compile(TIMESTAMP_PATTERN)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_EPOCH = re.compile(r"\d{1,16}(?:\.\d{1,9})?\Z", re.ASCII)
# DateTime64(9) is a signed 64-bit count of nanoseconds.
_EARLIEST, _LATEST = -(2**63) + 1, 2**63 - 1


class DocumentFilter(NamedTuple):
    """A condition on a value inside ``properties`` or ``context``. Several values mean any of them."""

    document: Document
    path: str
    operator: Operator
    values: tuple[str, ...]


class EventQuery(NamedTuple):
    """Which events, in which order, and what of them. Times are nanoseconds; ``equal`` maps columns to any-of."""

    source: Source = "processed"
    since: int | None = None
    until: int | None = None
    equal: tuple[tuple[str, tuple[str, ...]], ...] = ()
    documents: tuple[DocumentFilter, ...] = ()
    order: Literal["desc", "asc"] = "desc"
    order_by: OrderBy = "timestamp"
    fields: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str = ""
    environment: str = "live"

    @property
    def tailing(self) -> bool:
        """Whether the reader follows what is being stored."""
        return self.order_by == "stored_at" and self.order == "asc"


def bad(name: str, message: str, code: str = "bad_parameter") -> NoReturn:
    """Refuse a parameter, naming it."""
    shown = name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"
    detail = f"{shown}: {message}"
    raise BadRequest(code, detail, [{"loc": ["query", shown], "code": code, "message": message}])


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form."""
    return _UUID.match(text) is not None


def uuid(name: str, value: str) -> str:
    """A UUID in lower case."""
    if not _UUID.match(value):
        bad(name, f"{clip(value)} is not a UUID.", "bad_uuid")
    return value.lower()


def path_uuid(given: Mapping[str, str], name: str) -> str:
    """A UUID of the path, in lower case."""
    value = given.get(name, "")
    if not is_uuid(value):
        message = f"{clip(value)} is not a UUID."
        fault = {"loc": ["path", name], "code": "bad_uuid", "message": message}
        raise BadRequest("bad_uuid", f"{name}: {message}", [fault])
    return value.lower()


def user(value: str) -> str:
    """A user in either form: a UUID, or any other string, which is named within Weir's namespace."""
    return ids.user(value)


def instant(name: str, value: str) -> int:
    """RFC 3339, a date (midnight UTC), or epoch seconds or milliseconds, in nanoseconds."""
    # A plus sign that nobody encoded arrives as a space.
    text = value[:10] + value[10:11] + value[11:].replace(" ", "+")
    try:
        if _DATE.match(text):
            found = instants.from_text(text + "T00:00:00Z")
        elif _EPOCH.match(text):
            found = instants.from_wire(float(text))
        elif _TIME.fullmatch(text) and text:
            found = instants.from_text(text)
        else:
            raise ValueError(text)
    except (ValueError, OverflowError):
        bad(name, f"{clip(value)} is not an RFC 3339 time such as 2026-01-31T12:00:00Z.", "bad_timestamp")
    return max(_EARLIEST, min(_LATEST, found))


def integer(name: str, value: str, low: int, high: int) -> int:
    """A whole number within bounds, both included."""
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not low <= int(value) <= high:
        bad(name, f"{clip(value)} is not a whole number from {low} to {high}.")
    return int(value)


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """One of a few words."""
    if value not in allowed:
        bad(name, f"{clip(value)} is not one of {', '.join(allowed)}.")
    return value


def clip(value: str) -> str:
    """A client's value, short enough to be quoted back."""
    return repr(value if len(value) <= MAX_NAME else value[:MAX_NAME] + "…")


def one(params: Params, name: str, default: str = "") -> str:
    """The value of a parameter that may be given once."""
    values = params.get(name, ())
    if len(values) > 1:
        bad(name, "may be given only once.")
    return values[0] if values else default


def guard(params: Params) -> None:
    """Refuse what no parameter may be: too much, or text that is not Unicode."""
    total = 0
    for name, values in params.items():
        if len(values) > MAX_VALUES:
            bad(name, f"may be repeated up to {MAX_VALUES} times.")
        for text in (name, *values):
            total += len(text)
            if any("\ud800" <= character <= "\udfff" for character in text):
                bad(name.encode("utf-8", "replace").decode(), "is not valid UTF-8.", "bad_encoding")
    if total > MAX_CHARACTERS:
        raise BadRequest("query_too_long", f"The query is over {MAX_CHARACTERS} characters.")


def only(params: Params, known: Sequence[str]) -> None:
    """Refuse a parameter that is not known, with the nearest one that is."""
    for name in params:
        if name not in known:
            unknown(name, known)


def unknown(name: str, known: Sequence[str]) -> NoReturn:
    """Refuse an unknown parameter and suggest what may have been meant."""
    bad(name, f"is not known.{suggestion(name, known)}", "unknown_parameter")


def suggestion(name: str, known: Sequence[str]) -> str:
    """`` Did you mean …?`` when something known is near, else nothing."""
    near = get_close_matches(name[:MAX_NAME], known, 1)
    return f" Did you mean {near[0]}?" if near else ""


_Reader = Callable[[str, str], str]


def _filled(name: str, value: str) -> str:
    if not value:
        bad(name, "must not be empty.")
    return value


_EQUAL: dict[str, _Reader] = {
    "event_id": uuid,
    "event_type": _filled,
    "event_name": _filled,
    "platform": _filled,
    "session_id": uuid,
    "stitched_session_id": uuid,
    "user_id": lambda name, value: user(_filled(name, value)),
    "anonymous_id": _filled,
    "status": lambda name, value: choice(name, value, STATUSES),
}
_SINGLE = ("from", "to", "source", "fields", "limit", "order", "order_by", "cursor")
KNOWN = (*_SINGLE, *_EQUAL, "properties.<path>", "context.<path>")


def events_query(params: Params, environment: str = "live") -> EventQuery:
    """Read the parameters; the environment is that of who asks.

    Raises :class:`BadRequest` that names the one at fault.
    """
    guard(params)
    source: Source = "raw" if _choice_of(params, "source", ("processed", "raw")) == "raw" else "processed"
    if "status" in params and source != "raw":
        bad("status", "goes only with source=raw: processed events are those that did not fail.")
    equal, documents = _filters(params)
    since, until = time_range(params)
    return EventQuery(
        source=source,
        since=since,
        until=until,
        equal=equal,
        documents=documents,
        order="desc" if _choice_of(params, "order", ("desc", "asc")) == "desc" else "asc",
        order_by=_order_by(params),
        fields=_fields(params, source),
        limit=integer("limit", one(params, "limit", str(DEFAULT_LIMIT)), 1, MAX_LIMIT),
        cursor=one(params, "cursor"),
        environment=environment,
    )


def time_range(params: Params) -> tuple[int | None, int | None]:
    """``from`` and ``to``: half-open, either may be absent."""
    since = instant("from", one(params, "from")) if "from" in params else None
    until = instant("to", one(params, "to")) if "to" in params else None
    if since is not None and until is not None and since > until:
        bad("from", "must not be after to.")
    return since, until


def _order_by(params: Params) -> OrderBy:
    chosen = _choice_of(params, "order_by", ("timestamp", "stored_at"))
    return "stored_at" if chosen == "stored_at" else "timestamp"


def _choice_of(params: Params, name: str, allowed: Sequence[str]) -> str:
    return choice(name, one(params, name, allowed[0]), allowed)


def _filters(params: Params) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], tuple[DocumentFilter, ...]]:
    equal: dict[str, tuple[str, ...]] = {}
    documents: list[DocumentFilter] = []
    for name, values in params.items():
        if name in _EQUAL:
            equal[name] = tuple(sorted({_EQUAL[name](name, value) for value in values}))
        elif found := _DOCUMENT.match(name):
            documents.append(_document(name, found, values))
        elif name not in _SINGLE:
            unknown(name, KNOWN)
    return tuple(sorted(equal.items())), tuple(sorted(documents))


def _document(name: str, found: re.Match[str], values: Sequence[str]) -> DocumentFilter:
    operator = found[3] if found[3] is not None else "eq"
    if operator not in OPERATORS:
        hint = suggestion(operator, OPERATORS)
        bad(name, f"{clip(operator)} is not one of {', '.join(OPERATORS)}.{hint}", "unknown_operator")
    if _SPECIAL.search(found[2]):
        bad(name, "the store cannot filter on a name that begins like this.", "unsupported_path")
    if operator == "exists":
        values = [choice(name, value or "true", ("true", "false")) for value in values]
        if len(set(values)) > 1:
            bad(name, "cannot be both true and false.")
    document: Document = "properties" if found[1] == "properties" else "context"
    chosen: Operator = next(one for one in OPERATORS if one == operator)
    return DocumentFilter(document, found[2], chosen, tuple(sorted(set(values))))


def _fields(params: Params, source: Source) -> tuple[str, ...]:
    """The fields asked for, in order. A field is a leaf, a group of leaves, or a path inside a document."""
    if "fields" not in params:
        return ()
    asked = [name.strip() for value in params["fields"] for name in value.split(",")]
    leaves = [field.path for field in FIELDS[source]]
    groups = {path[:end] for path in leaves for end, letter in enumerate(path) if letter == "."}
    documents = [field.path for field in FIELDS[source] if field.kind == "document"]
    for name in asked:
        if not name:
            bad("fields", "names must not be empty.")
        inside = any(name.startswith(document + ".") and name != document + "." for document in documents)
        if name not in leaves and name not in groups and not inside:
            hint = suggestion(name, [*leaves, *sorted(groups)])
            bad("fields", f"{clip(name)} is not a field of {source} events.{hint}", "unknown_field")
    return tuple(dict.fromkeys(asked))
