"""Collect: judge the events of a request, queue them all durably, and only then answer."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from functions.collect import leaving, names, tallying
from functions.collect.admission import Admission, Admitted
from functions.collect.identity import Assigner
from functions.collect.packing import Part, batch_id, cut
from functions.collect.request import CollectRequest, read_batch, read_single
from functions.collect.tallying import Receipt
from functions.shared.domain import instants
from functions.shared.domain.consent import Mode
from functions.shared.domain.keys import Key
from functions.shared.domain.rates import Allowance
from functions.shared.errors import BadRequest, Forbidden, QueueUnavailable
from functions.shared.ports import Published, Queue
from schemas.envelope import Header, RequestInfo
from schemas.faults import Fault
from schemas.limits import Limits
from schemas.splitting import Split
from schemas.validation import Checked, Validator


class Preview(Protocol):
    """Runs enrichment on message bodies without storing anything (``dry_run``)."""

    def rows(self, bodies: Sequence[bytes]) -> dict[str, Any]:
        """``{"raw": […], "processed": […]}`` exactly as they would be stored."""
        ...


class Stored(Protocol):
    """Waits until an event can be read."""

    def wait(self, event_id: str, batch_id: str, environment: str) -> dict[str, Any] | None:
        """``{"raw": …, "processed": …}`` once both rows can be read, or once this batch's delivery failed.

        When it takes too long, what can be read by then: None, one row, or a failed row of another batch.
        """
        ...


class Outcome(NamedTuple):
    """An answer: its HTTP status and its JSON body, and the counts for the log line."""

    status: int
    body: dict[str, Any]
    counts: dict[str, int]
    allowances: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class _Batch:
    """A request's events on their way to the queue.

    ``lines`` are those that go there, ``places`` which of the request they are: what the key may not write stays here.
    """

    header: Header
    lines: list[bytes]
    places: Sequence[int]
    checked: Checked
    ids: list[str]
    key: Key
    receipt: Receipt
    admitted: Admitted


class CollectService:
    """The one call each write route makes."""

    def __init__(
        self,
        queue: Queue,
        admission: Admission,
        limits: Limits,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        preview: Preview,
        stored: Stored,
        host: str = "",
        slow_queue: Queue | None = None,
        consent: Mode = "off",
    ) -> None:
        """``host`` is where this runs, for the ledger; ``slow_queue`` takes what is over a rate.

        ``consent``: what becomes of events of people who refuse.
        """
        self._consent = consent
        self._queue = queue
        self._slow_queue = slow_queue or queue
        self._admission = admission
        self._limits = limits
        self._validator = Validator(limits)
        self._assigner = Assigner(random_bytes)
        self._clock = clock
        self._preview = preview
        self._stored = stored
        self._host = host

    def single(self, request: CollectRequest, *, dry_run: bool = False, wait: bool = False) -> Outcome:
        """``POST /api/v1/events``. Raises :class:`Reject` and :class:`Retry` errors."""
        batch = self._taken_in(request, read_single, dry_run)
        if not batch.lines:
            return self._left_out(batch, dry_run)
        if dry_run:
            return self._dry_run(batch)
        _, published = self._publish(batch)[0]
        event_id = batch.ids[0]
        counts = _counts(batch)
        if batch.checked.faults:
            raise BadRequest("event_rejected", "The event is not valid.", _errors(batch))
        answer: dict[str, Any] = {
            "event_id": event_id,
            "status": "duplicate" if published.duplicate else "accepted",
            "received_at": instants.to_text(batch.header.received_at),
            "warnings": [_told(fault) for fault in batch.checked.warnings.get(0, ())],
        }
        if wait:
            return self._wait_stored(answer, batch, counts)
        return Outcome(202, answer, counts, batch.admitted.allowances)

    def batch(
        self, request: CollectRequest, *, dry_run: bool = False, wait: bool = False, all_results: bool = False
    ) -> Outcome:
        """``POST /api/v1/events/batch``. Raises :class:`Reject` and :class:`Retry` errors."""
        batch = self._taken_in(request, read_batch, dry_run)
        if dry_run:
            return self._dry_run(batch)
        self._admission.left_out(batch.key, batch.receipt.dropped)
        retry, duplicate = _unqueued(self._publish(batch), batch.places)
        results = _results(batch, retry, duplicate, all_results)
        rejected = len(batch.checked.faults.keys() | retry)
        received = len(batch.ids)
        answer: dict[str, Any] = {
            "batch_id": batch.header.batch_id,
            "received": received,
            "accepted": received - rejected,
            "rejected": rejected,
            "results": results,
        }
        if rejected == received and "consent" not in batch.receipt.dropped:
            answer["errors"] = _errors(batch)
            return Outcome(400, answer, _counts(batch), batch.admitted.allowances)
        if wait:
            self._wait_batch(batch)
        return Outcome(202, answer, _counts(batch), batch.admitted.allowances)

    def _left_out(self, batch: _Batch, dry_run: bool) -> Outcome:
        """The answer to one event that is not taken. A person's refusal is no mistake of who sends it."""
        if not dry_run:
            self._admission.left_out(batch.key, batch.receipt.dropped)
            self._note(batch, 0)
        (fault,) = batch.checked.faults[0]
        if fault.code != leaving.CONSENT:
            raise Forbidden(names.CODE, "The key may not write events of this name.", _errors(batch))
        if dry_run:
            return self._dry_run(batch)
        answer = {
            "event_id": batch.ids[0],
            "status": "dropped",
            "received_at": instants.to_text(batch.header.received_at),
            "warnings": [_told(fault)],
        }
        return Outcome(202, answer, _counts(batch), batch.admitted.allowances)

    def _taken_in(
        self, request: CollectRequest, read: Callable[[CollectRequest, Limits], Split], dry_run: bool
    ) -> _Batch:
        """The events of a request, once the backlog and the key's limits allow them. A dry run needs neither."""
        if dry_run:
            return self._judge(request, read(request, self._limits), Admitted())
        self._admission.check()
        split = read(request, self._limits)
        return self._judge(request, split, self._admission.admit(request.key, len(split.events)))

    def _judge(self, request: CollectRequest, split: Split, admitted: Admitted) -> _Batch:
        now = self._clock()
        lines = split.events
        checked = self._validator.check(lines)
        owner = request.key.key_id
        own_ids, assigned = self._assigner.assign(lines, checked.events, now, owner, request.idempotency_key)
        if not request.idempotency_key:
            _warn_of_assigned(checked, assigned)
        left = leaving.left_out(request, lines, checked.events, self._consent)
        places = _kept(checked, left)
        kept = [lines[place] for place in places]
        ids = {index: assigned[place] for index, place in enumerate(places) if place in assigned}
        header = Header(
            batch_id=batch_id(owner, ids, kept) if kept else batch_id(owner, assigned, lines),
            batch_size=len(kept),
            key_id=owner,
            received_at=now,
            sent_at=_sent_at(split.sent_at, self._validator),
            request=RequestInfo(ip=request.ip[:256], user_agent=request.user_agent[:1024]),
            signal=request.signal if self._consent == "anonymise" else "",
            ids=ids,
        )
        receipt = Receipt(self._host, request.request_id, leaving.reasons(left) if left else {})
        return _Batch(header, kept, places, checked, own_ids, request.key, receipt, admitted)

    def _cut(self, batch: _Batch) -> list[Part]:
        return cut(batch.header, batch.lines, self._queue.max_message_bytes)

    def _publish(self, batch: _Batch) -> list[tuple[Part, Published]]:
        if not batch.lines:
            self._note(batch, 0)
            return []
        parts = self._cut(batch)
        lane = self._slow_queue if batch.admitted.slow else self._queue
        published = lane.publish([tallying.beside(batch.header, batch.receipt, part) for part in parts])
        if all(one.error for one in published):
            raise QueueUnavailable("The events could not be queued; nothing was accepted. Send the same again.")
        resent = sum(part.last - part.first for part, one in zip(parts, published, strict=True) if one.duplicate)
        if resent:
            self._note(batch, resent)
        return list(zip(parts, published, strict=True))

    def _note(self, batch: _Batch, resent: int) -> None:
        """Tell the ledger of what the broker does not hold. What it does not hear of costs no event."""
        message = tallying.apart(batch.header, batch.receipt, resent)
        if message is not None:
            with suppress(QueueUnavailable):
                self._queue.note(message)

    def _dry_run(self, batch: _Batch) -> Outcome:
        parts = self._cut(batch) if batch.lines else []
        rows = self._preview.rows([part.message.body for part in parts]) if parts else {"raw": [], "processed": []}
        return Outcome(200, {"dry_run": True, **rows}, _counts(batch))

    def _wait_stored(self, answer: dict[str, Any], batch: _Batch, counts: dict[str, int]) -> Outcome:
        batch_id = batch.header.batch_id
        found = self._stored.wait(answer["event_id"], batch_id, batch.key.environment) or {}
        raw, processed = found.get("raw"), found.get("processed")
        left = batch.admitted.allowances
        if raw is not None and processed is not None:
            return Outcome(201, {**answer, "status": "stored", "event": processed}, counts, left)
        if raw is not None and raw["processing_status"] == "failed" and raw["batch_id"] == batch_id:
            errors = [{"index": 0, "event_id": answer["event_id"], **one} for one in raw.get("errors", ())]
            return Outcome(422, {**answer, "status": "failed", "errors": errors}, counts, left)
        return Outcome(202, answer, counts, left)

    def _wait_batch(self, batch: _Batch) -> None:
        for index in range(len(batch.ids) - 1, -1, -1):
            if index not in batch.checked.faults:
                self._stored.wait(batch.ids[index], batch.header.batch_id, batch.key.environment)
                return


def _kept(checked: Checked, refused: dict[int, Fault]) -> Sequence[int]:
    """The indexes of what goes on to the queue. What is refused has that one fault, and goes nowhere."""
    for index, fault in refused.items():
        checked.faults[index] = [fault]
        checked.warnings.pop(index, None)
    everything = range(len(checked.events))
    return [index for index in everything if index not in refused] if refused else everything


def _unqueued(outcomes: Sequence[tuple[Part, Published]], places: Sequence[int]) -> tuple[set[int], set[int]]:
    """The indexes whose message the broker did not take, and those it already had."""
    retry: set[int] = set()
    duplicate: set[int] = set()
    for part, published in outcomes:
        if published.error:
            retry.update(places[part.first : part.last])
        elif published.duplicate:
            duplicate.update(places[part.first : part.last])
    return retry, duplicate


def _sent_at(raw: bytes, validator: Validator) -> int | None:
    if not raw or raw == b"null" or raw == b'""':
        return None
    value = validator.time(raw)
    if value is None:
        fault = {"loc": ["sent_at"], "code": "bad_timestamp", "message": "Not an RFC 3339 time or epoch number."}
        raise BadRequest("bad_timestamp", "sent_at cannot be read as a time.", [fault])
    return instants.from_wire(value)


def _warn_of_assigned(checked: Checked, assigned: dict[int, str]) -> None:
    for index in assigned:
        if index not in checked.faults:
            message = "No event_id: one was assigned, and a resend cannot be recognised."
            checked.warnings.setdefault(index, []).append(Fault("event_id_assigned", ("event_id",), message))


def _told(fault: Fault) -> dict[str, Any]:
    return {"loc": list(fault.loc), "code": fault.code, "message": fault.message}


def _errors(batch: _Batch) -> list[dict[str, Any]]:
    return [
        {"index": index, "event_id": batch.ids[index], **_told(fault)}
        for index, faults in sorted(batch.checked.faults.items())
        for fault in faults
    ]


def _results(batch: _Batch, retry: set[int], duplicate: set[int], everything: bool) -> list[dict[str, Any]]:
    checked = batch.checked
    seen_again = duplicate | _repeats(batch.ids)
    notable: Sequence[int] | range = range(len(batch.ids))
    if not everything:
        notable = sorted(checked.faults.keys() | checked.warnings.keys() | retry | seen_again)
    return [_result(batch, index, retry, seen_again) for index in notable]


def _result(batch: _Batch, index: int, retry: set[int], duplicate: set[int]) -> dict[str, Any]:
    faults = batch.checked.faults.get(index, [])
    warnings = batch.checked.warnings.get(index, [])
    if index in retry:
        result = "retry"
    elif faults:
        result = "drop"
    elif index in duplicate:
        result = "duplicate"
    else:
        result = "warning" if warnings else "ok"
    return {
        "index": index,
        "event_id": batch.ids[index],
        "result": result,
        "errors": [_told(fault) for fault in (*faults, *warnings)],
    }


def _repeats(ids: list[str]) -> set[int]:
    """The indexes of events whose id already stands earlier in the same batch."""
    if len(set(ids)) == len(ids):
        return set()
    seen: set[str] = set()
    again = set()
    for index, own in enumerate(ids):
        if own in seen:
            again.add(index)
        seen.add(own)
    return again


def _counts(batch: _Batch) -> dict[str, int]:
    received = len(batch.ids)
    rejected = len(batch.checked.faults)
    return {"events_received": received, "events_accepted": received - rejected, "events_rejected": rejected}
