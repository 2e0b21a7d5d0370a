"""From a queue message to rows: validated events become rows to enrich, bad ones rows that say why."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import orjson

from functions.enrich import replaying
from functions.enrich.salts import NoSalts, Salts
from functions.enrich.timing import correct, sent_moment
from functions.shared.domain import ids, instants
from functions.shared.domain.consent import ANONYMISED, Refusal
from functions.shared.domain.privacy import Redactor
from schemas import salvage
from schemas.bundle import Again, Delivered
from schemas.envelope import Envelope, Header
from schemas.faults import Fault
from schemas.owned.judging import VIOLATION, Judge, Verdict
from schemas.rows import Delivery, ProcessedRow, RawRow
from schemas.validation import Validator

Row = dict[str, Any]
_EMPTY_OBJECT = msgspec.Raw(b"{}")
_PROCESSED = itemgetter(*ProcessedRow._fields)
_RAW = itemgetter(*RawRow._fields)
_new = tuple.__new__  # what a named tuple's own constructors come down to
# What is worked on at a time fits the processor's cache: a row and its event take some ten kilobytes.
_AT_A_TIME = 100
# Of what could not be read nothing may be kept where something is to be redacted.
_BYTES_DROPPED = "bytes_dropped"
_INT64 = 2**63 - 1


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
    """Turns envelopes into rows. Deterministic but for ``processed_at``, so that a retry makes the same rows.

    What a row holds of an event's text is redacted; its digest and size are of what was sent, and so is what the
    schemas say of it.
    """

    def __init__(
        self,
        validator: Validator,
        measures: Sequence[str],
        redactor: Redactor | None = None,
        judge: Judge | None = None,
        salts: Salts | None = None,
    ) -> None:
        """``salts`` are those of the days, where visitors are told by the day."""
        self._salts = salts or NoSalts()
        self._validator = validator
        self._judge = judge
        self._redactor = redactor or Redactor()
        self._measures = tuple(measures)
        self._user = lru_cache(maxsize=65_536)(ids.user)

    def assemble(self, delivered: Delivered, arrival: Arrival, now: int) -> Iterator[Assembled]:
        """The rows of an envelope, some at a time. 1 event in is exactly 1 row here, good or bad.

        Raises :class:`~functions.shared.errors.StoreUnavailable` where the day's salt cannot be had.
        """
        envelope, again = delivered
        common = _common(envelope, arrival, now, again)
        common["salt"] = self._salt(envelope.header, again)
        common["request_ip"] = self._redactor.address(envelope.header.request.ip)
        for first in range(0, len(envelope.events), _AT_A_TIME):
            lines = envelope.events[first : first + _AT_A_TIME]
            read, unfit = replaying.patched(lines, again)
            part = self._part(common, envelope.header, lines, read, first, unfit)
            if again is not None:
                replaying.mark(*part, again, envelope.header, replaying.changed(envelope.header, first, lines, read))
            yield part

    def _salt(self, header: Header, again: Again | None) -> bytes:
        """The day's salt; none where a replay brings an address that was cut: it would make one visitor of many."""
        whole = again is None or self._redactor.keeps_addresses
        return self._salts.of(header.received_at) if whole else b""

    def _part(
        self,
        common: Row,
        header: Header,
        lines: list[bytes],
        read: list[bytes],
        first: int,
        unfit: Mapping[int, Fault],
    ) -> Assembled:
        """The rows of some lines. ``read`` is what they are read as: a replay may patch them."""
        first += header.first_index
        checked = self._validator.check(read)
        replaying.refuse(checked, unfit)
        verdicts = self._judge.judge(checked.events, header.key_id) if self._judge else {}
        for index, verdict in verdicts.items():
            if verdict.failed:
                checked.events[index] = None
                checked.faults[index] = verdict.faults
        texts = [checked.repaired.get(index, line) for index, line in enumerate(read)] if checked.repaired else read
        good = [index for index, event in enumerate(checked.events) if event is not None]
        redactor = self._redactor
        refusals = self._refusals(header, lines, read, checked.events)
        shown: Sequence[bytes] = lines
        if redactor.active:
            texts = [redactor.text(text, refusals.get(index, "")) for index, text in enumerate(texts)]
            shown = [redactor.text(line, refusals.get(index, "")) for index, line in enumerate(lines)]
        for index in good if redactor.names or refusals else ():
            redactor.event(checked.events[index] or {}, refusals.get(index, ""))
        slices = _SLICES.decode(b"[" + b",".join([texts[index] for index in good]) + b"]")
        rows = [
            self._row(common, header, first + index, checked.events[index] or {}, lines[index], parts, shown[index])
            for index, parts in zip(good, slices, strict=True)
        ]
        for position, index in enumerate(good if checked.warnings else ()):
            rows[position]["flags"] += [fault.code for fault in checked.warnings.get(index, ())]
        for position, index in enumerate(good if verdicts else ()):
            if index in verdicts:
                _flag(rows[position], verdicts[index])
        for position, index in enumerate(good if refusals else ()):
            if index in refusals:
                _anonymise(rows[position])
        failed = [
            _failed_row(
                {**common, **_OF_NOBODY} if index in refusals else common,
                header,
                first + index,
                lines[index],
                faults,
                shown[index],
            )
            for index, faults in sorted(checked.faults.items())
        ]
        return Assembled(rows, failed)

    def _refusals(
        self, header: Header, lines: list[bytes], read: list[bytes], events: Sequence[dict[str, Any] | None]
    ) -> dict[int, Refusal]:
        """Why events are of nobody, by index. What a patch took away was said nonetheless."""
        if not self._redactor.consents:
            return {}
        found: dict[int, Refusal] = {}
        for index, event in enumerate(events):
            why = self._redactor.refusal(event, read[index], header.signal)
            if not why and read[index] is not lines[index]:
                why = self._redactor.refusal(None, lines[index], header.signal)
            if why:
                found[index] = why
        return found

    def unreadable(self, body: bytes, arrival: Arrival, now: int, reason: str) -> RawRow:
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
        fault = Fault("malformed_json", (), reason)
        return _failed_row(common, header, 0, body, [fault], self._redactor.unreadable(body))

    def _row(
        self,
        common: Row,
        header: Header,
        batch_index: int,
        event: dict[str, Any],
        line: bytes,
        parts: _Slices,
        shown: bytes,
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
            "raw_data": str(shown, "utf-8"),
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


def _common(envelope: Envelope, arrival: Arrival, now: int, again: Again | None = None) -> Row:
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
        # A clock beyond what the store can hold is as absurd at its bounds.
        "sent_at": max(-_INT64, min(_INT64, header.sent_at or 0)),
        "request_ip": "",
        "request_user_agent": header.request.user_agent,
        "patch": "",
        "salt": b"",
        "generation": again.generation if again else 0,
    }


# The request's own address and agent, which a failed event of its sender does not keep either.
_OF_NOBODY = {"request_ip": "", "request_user_agent": ""}


def _anonymise(row: Row) -> None:
    row.update(_OF_NOBODY, flags=[*row["flags"], ANONYMISED])


def _flag(row: Row, verdict: Verdict) -> None:
    """A violation that is only told of: the event counts, and its raw row says what is wrong with it."""
    row["flags"] = [*row["flags"], VIOLATION]
    row["error_message"] = _told(verdict.faults)
    row["error_codes"] = [VIOLATION]


def _told(faults: Sequence[Fault]) -> str:
    told = [{"loc": list(fault.loc), "code": fault.code, "message": fault.message} for fault in faults]
    return orjson.dumps(told).decode()


def _failed_row(
    common: Row, header: Header, batch_index: int, line: bytes, faults: Sequence[Fault], shown: bytes
) -> RawRow:
    """A bad event with every fault, its bytes as they may be ``shown``, and what of it can be."""
    event = salvage.members(line)
    text, encoding = salvage.storable(shown)
    row = {
        **common,
        "event_id": header.ids.get(batch_index) or event["event_id"].lower(),
        "timestamp": header.received_at,
        "original_timestamp": salvage.short(event, "timestamp", 64),
        "platform": salvage.short(event, "platform", 32),
        "event_type": salvage.short(event, "event_type", 64),
        "event_name": salvage.short(event, "event_name", 256),
        "session_id": ids.NIL,
        "user_id": None,
        "user_ref": "",
        "anonymous_id": "",
        "properties_text": "{}",
        "context_text": "{}",
        "raw_data": text,
        "raw_encoding": encoding,
        "processing_status": "failed",
        "error_message": _told(faults),
        "error_codes": sorted({fault.code for fault in faults}),
        "flags": [_BYTES_DROPPED] if line and not shown else [],
        "batch_index": batch_index,
        "digest": hashlib.sha256(line).hexdigest(),
    }
    return RawRow._make(_RAW(row))


def _object_text(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode("utf-8")
    return "{}" if text == "null" else text


def _text(value: Any) -> str:
    return value if type(value) is str else ""
