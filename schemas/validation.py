"""Validation of a block of events, the same at collect and at enrich.

Compiled once, run on the whole block: a native guard reads it, and proves it plain and within the limits; one
pydantic call then checks every event. Only events that one of the two refuses are looked at again, one by one, to name
*every* fault with its location and a stable code.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError

from schemas.event import KNOWN, TIMESTAMP_PATTERN, ReadEvent, TimestampNumber, TimestampText, WireEvent
from schemas.faults import Fault
from schemas.guard import build_guard
from schemas.inspection import inspect
from schemas.limits import Limits

NIL_UUID = "00000000-0000-0000-0000-000000000000"
_OPTIONAL_TEXT = ("event_id", "timestamp", "session_id", "user_id", "anonymous_id", "sent_at")
_OLDEST_SECONDS = 946_684_800  # 2000-01-01T00:00:00Z
TIMESTAMP = re.compile(TIMESTAMP_PATTERN)
_EXTRA_DIGITS = re.compile(r"(\.[0-9]{6})[0-9]+")
MILLISECONDS_FROM = 1e11
_CODES = {
    "missing": "required",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "finite_number": "not_finite",
}
_UUID_FIELDS = frozenset({"event_id", "session_id"})
_TIME_FIELDS = frozenset({"timestamp", "sent_at"})


class Checked(NamedTuple):
    """The verdict on a block: per event its fields (None when it is bad), and sparse faults and warnings.

    ``repaired`` holds the text to store for the few events whose own bytes are not valid JSON text.
    """

    events: list[dict[str, Any] | None]
    faults: dict[int, list[Fault]]
    warnings: dict[int, list[Fault]]
    repaired: dict[int, bytes]


class Validator:
    """Validates blocks of events against :class:`~schemas.event.WireEvent` and the given limits."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._guard = build_guard(self._limits)
        self._all: TypeAdapter[Any] = TypeAdapter(list[ReadEvent])
        self._one: TypeAdapter[Any] = TypeAdapter(WireEvent)
        self._time: TypeAdapter[Any] = TypeAdapter(TimestampText | TimestampNumber)

    def check(self, lines: Sequence[bytes]) -> Checked:
        """Judge each event (its JSON text as sent). Never raises for anything a client can send."""
        checked = Checked([None] * len(lines), {}, {}, {})
        if not lines:
            return checked
        events = self._read(lines) if max(map(len, lines)) <= self._limits.event_bytes else None
        if events is None:
            for index, line in enumerate(lines):
                self._check_alone(checked, index, line)
            return checked
        refused = self._refused(events)
        for index, event in enumerate(events):
            if index in refused:
                self._settle(checked, index, self._validated(event), lines[index])
            elif _usual(event):
                checked.events[index] = event
            else:
                self._settle(checked, index, _with_float_times(event), lines[index])
        return checked

    def time(self, text: bytes) -> str | float | None:
        """A time from its JSON text (a batch's ``sent_at``); None when it is not one."""
        try:
            value: str | float = self._time.validate_json(text)
        except ValidationError:
            return None
        return None if isinstance(value, str) and _calendar(value) is None else value

    def _read(self, lines: Sequence[bytes]) -> list[dict[str, Any]] | None:
        """The events as the guard read them; None when one of them is not plain."""
        try:
            events: list[dict[str, Any]] = self._guard.decode(b"[" + b",".join(lines) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return events if len(events) == len(lines) else None

    def _refused(self, events: list[dict[str, Any]]) -> set[int]:
        """The indexes of the events that the model refuses. It is strict: what it lets through, it leaves as it is."""
        try:
            self._all.validate_python(events)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            return {int(detail["loc"][0]) for detail in details}
        return set()

    def _check_alone(self, checked: Checked, index: int, line: bytes) -> None:
        read = self._read([line]) if len(line) <= self._limits.event_bytes else None
        if read is not None:
            self._settle(checked, index, self._validated(read[0]), line)
            return
        inspected = inspect(line, self._limits)
        faults = list(inspected.faults)
        if inspected.value is not None:
            verdict = self._validated(inspected.value)
            located = {fault.loc for fault in faults}
            if isinstance(verdict, ValidationError):
                faults += [fault for fault in _faults_of(verdict) if fault.loc not in located]
            elif not faults:
                self._settle(checked, index, verdict, line)
        if faults:
            checked.events[index] = None
            checked.faults[index] = faults
        if inspected.warnings:
            checked.warnings.setdefault(index, []).extend(inspected.warnings)
            checked.repaired[index] = inspected.text

    def _validated(self, value: dict[str, Any]) -> Any:
        """A read event's fields, or pydantic's error."""
        try:
            return self._one.validate_python(value)
        except ValidationError as error:
            return error

    def _settle(self, checked: Checked, index: int, event: Any, line: bytes) -> None:
        if type(event) is not dict:
            checked.faults[index] = _faults_of(event) + _rule_faults(line)
            return
        if event.get("event_id") == NIL_UUID:
            checked.faults[index] = [Fault("nil_uuid", ("event_id",), "The nil UUID identifies no event.")]
            return
        timestamp = event.get("timestamp")
        if timestamp is not None and timestamp != "":
            fault = _timestamp_fault(timestamp)
            if fault is not None:
                checked.faults[index] = [fault]
                return
            if type(timestamp) is str and _without_offset(timestamp):
                message = "No offset: read as UTC."
                _warn(checked, index, Fault("timestamp_without_offset", ("timestamp",), message))
        if "" in event.values():
            self._drop_empty(checked, index, event)
        if not event.keys() <= KNOWN:
            for name in event.keys() - KNOWN:
                message = "Not a field of an event; kept in raw_data only."
                _warn(checked, index, Fault("unknown_field", (name,), message))
        checked.events[index] = event

    @staticmethod
    def _drop_empty(checked: Checked, index: int, event: dict[str, Any]) -> None:
        for name in _OPTIONAL_TEXT:
            if event.get(name) == "":
                del event[name]
                _warn(checked, index, Fault("empty_is_absent", (name,), "An empty string counts as absent."))


def _usual(event: dict[str, Any]) -> bool:
    """Whether a valid event has nothing to settle: a UTC time of a day in every month, and no more than it should."""
    timestamp = event.get("timestamp")
    return (
        type(timestamp) is str
        and timestamp[-1:] == "Z"
        and timestamp[:4] >= "2001"
        and timestamp[8:10] <= "28"
        and event.keys() <= KNOWN
        and "" not in event.values()
        and event.get("event_id") != NIL_UUID
        and type(event.get("sent_at")) is not int
    )


def _with_float_times(event: dict[str, Any]) -> dict[str, Any]:
    """The model's one conversion: a time that is a whole number becomes a float."""
    for name in _TIME_FIELDS:
        if type(event.get(name)) is int:
            event[name] = float(event[name])
    return event


def _warn(checked: Checked, index: int, warning: Fault) -> None:
    checked.warnings.setdefault(index, []).append(warning)


def _without_offset(timestamp: str) -> bool:
    return timestamp[-1] not in "Zz" and timestamp[-6] not in "+-"


def _timestamp_fault(timestamp: str | float) -> Fault | None:
    if isinstance(timestamp, str):
        if timestamp[:4] >= "2001" and timestamp[8:10] <= "28":
            return None
        return _calendar_fault(timestamp)
    seconds = timestamp / 1000 if timestamp >= MILLISECONDS_FROM else timestamp
    return None if seconds >= _OLDEST_SECONDS else _too_old()


def _rule_faults(line: bytes) -> list[Fault]:
    """What the rules outside the model say of an event that the model already refused."""
    event = json.loads(line)
    timestamp = event.get("timestamp") if isinstance(event, dict) else None
    well_formed = isinstance(timestamp, str) and TIMESTAMP.fullmatch(timestamp)
    fault = _timestamp_fault(timestamp) if timestamp and well_formed else None
    return [fault] if fault else []


def _calendar_fault(timestamp: str) -> Fault | None:
    moment = _calendar(timestamp)
    if moment is None:
        return Fault("bad_timestamp", ("timestamp",), "No such day in the calendar.")
    return None if moment.timestamp() >= _OLDEST_SECONDS else _too_old()


def _calendar(timestamp: str) -> datetime | None:
    text = timestamp[:17] + "59" + timestamp[19:] if timestamp[17:19] == "60" else timestamp
    try:
        moment = datetime.fromisoformat(_EXTRA_DIGITS.sub(r"\1", text.upper()))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _too_old() -> Fault:
    return Fault("timestamp_too_old", ("timestamp",), "Before 2000-01-01T00:00:00Z.")


def _faults_of(error: ValidationError) -> list[Fault]:
    """Pydantic's errors as faults; the branches of a union at one place are one fault."""
    found: dict[tuple[Any, ...], Fault] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        loc = tuple(detail["loc"])[:1] if detail["loc"] and detail["loc"][0] in KNOWN else tuple(detail["loc"])
        if loc in found:
            continue
        found[loc] = Fault(_code(detail["type"], loc), loc, _sentence(detail["type"], loc, detail["msg"]))  # type: ignore[arg-type]
    return list(found.values())


def _code(kind: str, loc: tuple[Any, ...]) -> str:
    field = loc[0] if loc else ""
    if kind == "string_pattern_mismatch":
        return "bad_timestamp" if field in _TIME_FIELDS else "bad_uuid"
    if not loc:
        return "not_an_object"
    return _CODES.get(kind, "wrong_type")


def _sentence(kind: str, loc: tuple[Any, ...], message: str) -> str:
    if kind == "dict_type":
        return "Input should be an object."
    if kind == "string_pattern_mismatch":
        return "Not an RFC 3339 time." if loc[0] in _TIME_FIELDS else "Not a UUID."
    return message if message.endswith(".") else message + "."
