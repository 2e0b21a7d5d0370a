"""From a queue message to rows: validated events become rows to enrich, bad ones rows that say why."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import orjson

from functions.enrich.timing import correct, sent_moment
from functions.shared.domain import ids, instants
from schemas.envelope import Envelope, Header
from schemas.event import UUID_PATTERN
from schemas.faults import Fault
from schemas.rows import Delivery, ProcessedRow, RawRow
from schemas.validation import Validator

Row = dict[str, Any]
_EMPTY_OBJECT = msgspec.Raw(b"{}")
_PROCESSED = itemgetter(*ProcessedRow._fields)
_RAW = itemgetter(*RawRow._fields)
_new = tuple.__new__  # what a named tuple's own constructors come down to
_UUID = re.compile(UUID_PATTERN)
# What is worked on at a time fits the processor's cache: a row and its event take some ten kilobytes.
_AT_A_TIME = 100


class _Slices(msgspec.Struct):
    """The parts of an event that are kept as the text they were sent as."""

    properties: msgspec.Raw = _EMPTY_OBJECT
    context: msgspec.Raw = _EMPTY_OBJECT


_SLICES = msgspec.json.Decoder(list[_Slices])


class Arrival(NamedTuple):
    """How a message came: when it was queued and on which try this is."""

    queued_at: int
    attempt: int


class Assembled(NamedTuple):
    """Some of a message's events: the valid ones as rows to enrich, the bad ones finished."""

    rows: list[Row]
    failed: list[RawRow]


class Assembler:
    """Turns envelopes into rows. Deterministic but for ``processed_at``, so that a retry makes the same rows."""

    def __init__(self, validator: Validator, measures: Sequence[str]) -> None:
        self._validator = validator
        self._measures = tuple(measures)
        self._user = lru_cache(maxsize=65_536)(_user)

    def assemble(self, envelope: Envelope, arrival: Arrival, now: int) -> Iterator[Assembled]:
        """The rows of one message, some at a time. 1 event in is exactly 1 row here, good or bad."""
        common = _common(envelope, arrival, now)
        for first in range(0, len(envelope.events), _AT_A_TIME):
            yield self._part(common, envelope.header, envelope.events[first : first + _AT_A_TIME], first)

    def _part(self, common: Row, header: Header, lines: list[bytes], first: int) -> Assembled:
        first += header.first_index
        checked = self._validator.check(lines)
        texts = [checked.repaired.get(index, line) for index, line in enumerate(lines)] if checked.repaired else lines
        good = [index for index, event in enumerate(checked.events) if event is not None]
        slices = _SLICES.decode(b"[" + b",".join([texts[index] for index in good]) + b"]")
        rows = [
            self._row(common, header, first + index, checked.events[index] or {}, lines[index], parts)
            for index, parts in zip(good, slices, strict=True)
        ]
        for position, index in enumerate(good if checked.warnings else ()):
            rows[position]["flags"] += [fault.code for fault in checked.warnings.get(index, ())]
        failed = [
            _failed_row(common, header, first + index, lines[index], faults)
            for index, faults in sorted(checked.faults.items())
        ]
        return Assembled(rows, failed)

    def _row(
        self, common: Row, header: Header, batch_index: int, event: dict[str, Any], line: bytes, parts: _Slices
    ) -> Row:
        received_at = header.received_at
        get = event.get
        timing = correct(get("timestamp"), sent_moment(get("sent_at"), header.sent_at), received_at)
        context = get("context") or {}
        properties = get("properties") or {}
        event_id = (get("event_id") or header.ids[batch_index]).lower()
        session_id = get("session_id")
        user_ref = get("user_id") or ""
        return {
            **common,
            "event_id": event_id,
            "raw_event_id": event_id,
            "timestamp": timing.timestamp,
            "original_timestamp": timing.original,
            "platform": event["platform"],
            "event_type": event["event_type"],
            "event_name": event["event_name"],
            "session_id": session_id.lower() if session_id else ids.NIL,
            "user_id": self._user(user_ref) if user_ref else None,
            "user_ref": user_ref,
            "anonymous_id": get("anonymous_id") or "",
            "properties": properties,
            "context": context,
            "properties_text": _object_text(parts.properties),
            "context_text": _object_text(parts.context),
            "raw_data": str(line, "utf-8"),
            "digest": hashlib.sha256(line).hexdigest(),
            "batch_index": batch_index,
            "flags": timing.flags,
            "ip": _text(context.get("ip")) or header.request.ip,
            "user_agent": _text(context.get("user_agent")) or header.request.user_agent,
            "metrics_text": self._metrics(common, timing.skew, len(line), properties),
        }

    def _metrics(self, common: Row, skew: int | None, size: int, properties: Mapping[str, Any]) -> str:
        metrics: dict[str, Any] = {
            "ingestion_lag_ms": (common["processed_at"] - common["received_at"]) // instants.MILLISECOND,
            "payload_bytes": size,
        }
        if skew is not None:
            metrics["clock_skew_ms"] = skew // instants.MILLISECOND
        for name in self._measures:
            value = properties.get(name)
            if type(value) is int or type(value) is float:
                metrics[name] = value
        return orjson.dumps(metrics).decode()


def finish(row: Row) -> Delivery:
    """An enriched row as what the store takes."""
    return _new(Delivery, (_new(RawRow, _RAW(row)), _new(ProcessedRow, _PROCESSED(row))))


def unreadable(body: bytes, arrival: Arrival, now: int, reason: str) -> RawRow:
    """A message that is no envelope, kept as one failed row under an id made from its bytes."""
    digest = hashlib.sha256(body).hexdigest()
    header = Header(
        batch_id=ids.named("message", digest),
        batch_size=1,
        key_id="",
        received_at=arrival.queued_at,
        ids={0: ids.named("message-event", digest)},
    )
    common = _common(Envelope.model_construct(header=header, events=[], version=0), arrival, now)
    return _failed_row(common, header, 0, body, [Fault("malformed_json", (), reason)])


def _common(envelope: Envelope, arrival: Arrival, now: int) -> Row:
    header = envelope.header
    return {
        "received_at": header.received_at,
        "processed_at": now,
        "processing_status": "processed",
        "raw_encoding": "",
        "error_message": "",
        "error_codes": [],
        "batch_id": header.batch_id,
        "batch_size": header.batch_size,
        "key_id": header.key_id,
        "envelope_version": envelope.version,
        "queued_at": arrival.queued_at,
        "attempt": arrival.attempt,
    }


def _failed_row(common: Row, header: Header, batch_index: int, line: bytes, faults: Sequence[Fault]) -> RawRow:
    """A bad event with every fault, its bytes, and what of it can be shown."""
    event = _best_effort(line)
    text, encoding = _storable(line)
    told = [{"loc": list(fault.loc), "code": fault.code, "message": fault.message} for fault in faults]
    row = {
        **common,
        "event_id": header.ids.get(batch_index) or event["event_id"].lower(),
        "timestamp": header.received_at,
        "original_timestamp": _short(event, "timestamp", 64),
        "platform": _short(event, "platform", 32),
        "event_type": _short(event, "event_type", 64),
        "event_name": _short(event, "event_name", 256),
        "session_id": ids.NIL,
        "user_id": None,
        "user_ref": "",
        "anonymous_id": "",
        "properties_text": "{}",
        "context_text": "{}",
        "raw_data": text,
        "raw_encoding": encoding,
        "processing_status": "failed",
        "error_message": orjson.dumps(told).decode(),
        "error_codes": sorted({fault.code for fault in faults}),
        "flags": [],
        "batch_index": batch_index,
        "digest": hashlib.sha256(line).hexdigest(),
    }
    return RawRow._make(_RAW(row))


def _best_effort(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _short(event: Mapping[str, Any], name: str, limit: int) -> str:
    value = event.get(name)
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-8", "replace").decode()


def _storable(line: bytes) -> tuple[str, str]:
    try:
        return line.decode("utf-8"), ""
    except UnicodeDecodeError:
        return base64.b64encode(line).decode(), "base64"


def _object_text(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode("utf-8")
    return "{}" if text == "null" else text


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _user(reference: str) -> str:
    return reference.lower() if _UUID.match(reference) else ids.named("user", reference)
