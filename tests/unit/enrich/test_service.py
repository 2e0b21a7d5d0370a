"""Enrich: one in is one out, good or bad; a retry makes the same rows; a bad message costs no neighbour."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.collect.request import CollectRequest
from functions.collect.service import CollectService
from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService, Incoming
from functions.enrich.timing import correct
from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain import ids, instants
from functions.shared.errors import BadRequest
from schemas import patch
from schemas.bundle import Again, Part, PartHeader
from schemas.bundle import pack as pack_bundle
from schemas.envelope import Header, RequestInfo, pack
from schemas.limits import Limits
from schemas.validation import Validator
from tests.support.limits import FREE

AWS = Path(__file__).parents[3] / "events_samples" / "aws"
NOW = 1_767_225_600_000_000_000
SECOND = instants.SECOND


def service(tables: MemoryTables) -> EnrichService:
    return EnrichService(
        Recorder(tables, lambda: "a"),
        Assembler(Validator(), ["amount"]),
        build_steps(None),
        lambda: NOW,
        lambda *_: None,
    )


def service_of(tables: MemoryTables) -> EnrichService:
    """A service whose attempts are others than those before."""
    own = service(tables)
    own._store = Recorder(tables, lambda: str(uuid.uuid4()))
    return own


def message(*events: Any, **header: Any) -> Incoming:
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    head = Header(batch_id=ids.named("b", "1"), batch_size=len(lines), key_id="k", received_at=NOW, **header)
    return Incoming("m", pack(head, lines), NOW, 1)


EVENT = {"event_id": ids.named("e", "1"), "event_type": "purchase", "event_name": "Order", "platform": "web"}


def test_the_sample_of_three_messages_is_four_rows_and_nothing_comes_again() -> None:
    records = json.loads((AWS / "sqs-batch.json").read_text())["Records"]
    messages = [Incoming(record["messageId"], record["body"].encode(), NOW, 1) for record in records]
    tables = MemoryTables()
    done = service(tables).handle(messages)
    assert (done.again, done.counts["events"]) == ({}, 4)
    assert sorted(row.processing_status for _, row in tables.raw) == ["failed", "failed", "processed", "processed"]
    assert any("not an envelope" in row.raw_data for _, row in tables.raw)


def test_a_message_of_a_newer_release_is_left_to_it_and_costs_no_neighbour() -> None:
    newer = Incoming("n", b'{"v":4,"batch_id":"b"}\n{}', NOW, 1)
    tables = MemoryTables()
    done = service(tables).handle([newer, message(EVENT)])
    assert done.again == {"n": "NewerEnvelope"}
    assert [row.processing_status for _, row in tables.raw] == ["processed"]


def test_what_was_sent_is_kept_as_text_and_the_measures_are_taken_out() -> None:
    tables = MemoryTables()
    line = json.dumps(EVENT)[:-1].encode() + b',"properties":{"amount": 1.0, "t":"2026-01-01T00:00:00Z"}}'
    service(tables).handle([message(line)])
    row = tables.processed[0][1]
    assert row.properties_text == '{"amount": 1.0, "t":"2026-01-01T00:00:00Z"}'
    assert json.loads(row.metrics_text) == {"ingestion_lag_ms": 0, "payload_bytes": len(line), "amount": 1.0}
    assert tables.raw[0][1].raw_data.encode() == line


def test_a_user_of_any_name_gets_an_id_and_keeps_the_name() -> None:
    tables = MemoryTables()
    other = {**EVENT, "event_id": ids.named("e", "2"), "user_id": ids.named("u", "x").upper()}
    service(tables).handle([message({**EVENT, "user_id": "ann"}, other)])
    rows = {row.user_ref: row.user_id for _, row in tables.processed}
    assert rows == {"ann": ids.named("user", "ann"), other["user_id"]: other["user_id"].lower()}


def test_a_line_that_is_not_even_text_becomes_a_failed_row() -> None:
    tables = MemoryTables()
    header = {"ids": {0: ids.named("e", "9")}, "opaque": {0: "//4="}}
    service(tables).handle([message(b"", **header)])
    row = tables.raw[0][1]
    assert (row.event_id, row.raw_encoding, row.raw_data) == (ids.named("e", "9"), "base64", "//4=")


def test_the_events_that_a_step_failed_on_are_kept_and_counted_by_step() -> None:
    def broken(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError("a defect")

    tables, steps = MemoryTables(), build_steps(None)
    (first, *others) = steps
    enrich = EnrichService(
        Recorder(tables, lambda: "a"),
        Assembler(Validator(), []),
        (first._replace(run=broken), *others),
        lambda: NOW,
        lambda *_: None,
    )
    done = enrich.handle(
        [message(EVENT, {**EVENT, "event_id": ids.named("e", "2")}, {"event_id": ids.named("e", "3")})]
    )
    assert (len(tables.processed), len(tables.raw)) == (2, 3)
    failures = {name: count for name, count in done.counts.items() if name.endswith("_failed")}
    assert failures == {f"{first.name}_failed": 2}


def test_the_clock_is_corrected_from_thirty_seconds_of_skew_on() -> None:
    sent = "2025-12-31T23:00:00Z"
    moment = instants.from_text(sent)
    assert correct(sent, NOW - 30 * SECOND + 1, NOW).timestamp == moment
    corrected = correct(sent, NOW - 30 * SECOND, NOW)
    assert (corrected.timestamp, corrected.flags, corrected.original) == (
        moment + 30 * SECOND,
        ["clock_corrected"],
        sent,
    )


def test_a_timestamp_more_than_a_minute_ahead_becomes_the_time_of_receipt() -> None:
    ahead = (NOW + 60 * SECOND) // SECOND
    assert correct(ahead, None, NOW).timestamp == NOW + 60 * SECOND
    late = correct(ahead + 1, None, NOW)
    assert (late.timestamp, late.flags) == (NOW, ["timestamp_in_future"])


SENT_AT = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(min_value=-(2**64), max_value=2**64),
    st.sampled_from(["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:60Z", "never"]),
)


@given(own=SENT_AT, beside=SENT_AT)
def test_no_clock_is_so_absurd_that_its_event_is_not_recorded(own: Any, beside: Any) -> None:
    queue, tables = MemoryQueue(), MemoryTables()
    collect = CollectService(queue, FREE, Limits(), lambda: NOW, lambda count: b"\7" * count, None, None)  # type: ignore[arg-type]
    body = json.dumps({"events": [{**EVENT, "sent_at": own}], "sent_at": beside}).encode()
    try:
        collect.batch(CollectRequest(body))
    except BadRequest:
        assert beside == "never"
        return
    done = service(tables).handle([Incoming("m", one.body, NOW, 1) for one in queue.receive(1, 0)])
    assert (done.again, len(tables.raw)) == ({}, 1)
    assert all(-(2**63) <= row.sent_at < 2**63 for _, row in tables.raw)


def test_an_absurd_clock_moves_no_event_before_the_oldest() -> None:
    absurd = correct("2025-01-01T00:00:00Z", instants.from_text("9998-01-01T00:00:00Z"), NOW)
    assert absurd.flags == ["clock_skew_absurd"]
    assert absurd.timestamp == instants.from_text("2025-01-01T00:00:00Z")


def replayed(generation: int, lines: list[bytes], operations: str = "", **header: Any) -> Incoming:
    """The events of :func:`message` as a replay brings them again."""
    head = PartHeader(batch_id=ids.named("b", "1"), batch_size=len(lines), key_id="k", received_at=NOW, **header)
    again = Again(ids.named("r", "1"), generation, patch.read(operations) if operations else ())
    return Incoming("r", pack_bundle(again, [Part(head.model_dump_json().encode(), lines)]), NOW + 60 * SECOND, 1)


BAD = {**EVENT, "platform": "", "properties": {"amount": 1, "plan": "pro"}}


def test_a_replay_with_a_patch_makes_a_failed_event_good_and_keeps_what_was_sent() -> None:
    tables = MemoryTables()
    line = json.dumps(BAD).encode()
    service(tables).handle([message(line)])
    mend = (
        '[{"op":"set","path":"platform","value":"web"},{"op":"rename","path":"properties.plan","to":"properties.tier"}]'
    )
    for _ in range(2):
        service_of(tables).handle([replayed(1, [line], mend)])
    [(_, raw)], [(_, processed)] = tables.raw, tables.processed
    assert (raw.raw_data.encode(), raw.processing_status, raw.platform) == (line, "processed", "web")
    assert (raw.flags, json.loads(raw.patch), raw.generation) == (["replayed", "patched"], json.loads(mend), 1)
    assert (raw.batch_id, raw.received_at, raw.key_id, raw.digest) == (
        processed.batch_id, NOW, "k", hashlib.sha256(line).hexdigest(),
    )  # fmt: skip
    assert json.loads(processed.properties_text) == {"amount": 1, "tier": "pro"}


def test_a_replay_that_fails_again_says_why() -> None:
    tables = MemoryTables()
    line = json.dumps(BAD).encode()
    service(tables).handle([message(line)])
    service_of(tables).handle([replayed(1, [line], '[{"op":"set","path":"properties.plan.x","value":1}]')])
    [(_, raw)] = tables.raw
    assert (raw.processing_status, raw.error_codes, raw.generation) == ("failed", ["patch_refused"], 1)
    service_of(tables).handle([replayed(2, [line])])
    [(_, raw)] = tables.raw
    assert (raw.error_codes, raw.flags, raw.patch) == (["too_short"], ["replayed"], "")


def test_an_event_enriched_anew_keeps_the_lag_it_had() -> None:
    tables = MemoryTables()
    line = json.dumps(EVENT).encode()
    service(tables).handle([message(line)])
    service_of(tables).handle([replayed(1, [line], first_processed={0: NOW + 2 * SECOND})])
    [(_, processed)] = tables.processed
    assert (json.loads(processed.metrics_text)["ingestion_lag_ms"], processed.generation) == (2000, 1)


def test_what_the_request_said_is_kept_for_another_enrichment() -> None:
    tables = MemoryTables()
    info = RequestInfo(ip="81.2.69.160", user_agent="Mozilla/5.0")
    service(tables).handle([message(EVENT, sent_at=NOW - SECOND, request=info)])
    [(_, raw)] = tables.raw
    assert (raw.sent_at, raw.request_ip, raw.request_user_agent) == (NOW - SECOND, info.ip, info.user_agent)
