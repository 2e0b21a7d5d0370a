"""Who sends no id is one visitor for a day, wherever their events are handled; the next day they are another."""

from itertools import count
from typing import Any

import pytest

from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService, Incoming
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain import ids, visitors
from functions.shared.domain.privacy import AddressMode, Redactor
from functions.shared.errors import StoreUnavailable
from schemas.bundle import Again, Part, PartHeader, pack
from schemas.envelope import Header, RequestInfo
from schemas.envelope import pack as pack_envelope
from schemas.rows import ProcessedRow
from schemas.validation import Validator
from tests.unit.enrich.test_redaction import GEO

DAY = 86_400 * 1_000_000_000
MIDNIGHT = 1_767_225_600_000_000_000
ADA = RequestInfo(ip="81.2.69.142", user_agent="Firefox")
EVENT = b'{"event_id":"%s","event_type":"t","event_name":"n","platform":"web"%s}'


class Salts:
    """One a day; those of ``gone`` are."""

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.away = False

    def of(self, received_at: int) -> bytes:
        if self.away:
            raise StoreUnavailable("away", 2)
        day = visitors.day(received_at)
        return b"" if day in self.gone else bytes([day % 256]) * visitors.SALT_BYTES


class Subject:
    def __init__(self, address: AddressMode = "dropped", redactor: Redactor | None = None) -> None:
        self.tables, self.salts, self.places = MemoryTables(), Salts(), 0
        attempts = count()
        redactor = redactor or Redactor(address)
        self.service = EnrichService(
            Recorder(self.tables, lambda: ids.named("attempt", str(next(attempts)))),
            Assembler(Validator(), [], redactor, salts=self.salts),
            build_steps(GEO, address, daily=True),
            lambda: MIDNIGHT,
            lambda *_: pytest.fail("a message could not be read"),
        )

    def message(self, at: int, request: RequestInfo = ADA, more: str = "", key: str = "live_k") -> Incoming:
        self.places += 1
        line = EVENT % (ids.named("e", str(self.places)).encode(), more.encode())
        header = Header(
            batch_id=ids.named("b", str(self.places)), batch_size=1, key_id=key, received_at=at, request=request
        )
        return Incoming("m", pack_envelope(header, [line]), at, 1)

    def seen(self, at: int, request: RequestInfo = ADA, more: str = "", key: str = "live_k") -> ProcessedRow:
        self.service.handle([self.message(at, request, more, key)])
        return self.tables.processed[-1][1]

    def again(self, line: bytes, request: RequestInfo = ADA, given: str = "") -> ProcessedRow:
        """As a replay brings an event."""
        header = PartHeader(
            batch_id=ids.named("b", "1"), batch_size=1, key_id="live_k", received_at=MIDNIGHT, request=request,
            given={0: given} if given else {},
        )  # fmt: skip
        body = pack(Again(ids.named("r", "1"), 7), [Part(header.model_dump_json().encode(), [line])])
        self.service.handle([Incoming("m", body, MIDNIGHT, 1)])
        return self.tables.processed[-1][1]


def test_the_same_browser_is_one_visitor_up_to_midnight_and_then_another() -> None:
    subject = Subject()
    first, last, next_day = (subject.seen(at) for at in (MIDNIGHT, MIDNIGHT + DAY - 1, MIDNIGHT + DAY))
    assert first.anonymous_id.startswith("day:")
    assert first.identity == "a:" + first.anonymous_id == last.identity
    assert next_day.identity not in ("", first.identity)
    assert (first.ip, first.network, first.geo_country) == ("", "", "GB")


@pytest.mark.parametrize(
    "other",
    [
        {"request": ADA.model_copy(update={"ip": "81.2.69.143"})},
        {"request": ADA.model_copy(update={"user_agent": "Safari"})},
        {"key": "test_k"},
    ],
)
def test_another_address_browser_or_environment_is_another(other: dict[str, Any]) -> None:
    subject = Subject()
    assert subject.seen(MIDNIGHT).identity != subject.seen(MIDNIGHT, **other).identity


def test_one_address_is_one_however_it_is_written_and_whoever_says_it() -> None:
    subject = Subject()
    own = ',"context":{"ip":"::ffff:81.2.69.142"}'
    assert subject.seen(MIDNIGHT).identity == subject.seen(MIDNIGHT, RequestInfo(user_agent="Firefox"), own).identity


@pytest.mark.parametrize(
    ("more", "identity"), [(',"anonymous_id":"own"', "a:own"), (',"user_id":"u"', "u:" + ids.user("u"))]
)
def test_an_id_that_was_sent_stays(more: str, identity: str) -> None:
    assert Subject().seen(MIDNIGHT, ADA, more).identity == identity


def test_who_has_neither_address_nor_browser_gets_none() -> None:
    assert Subject().seen(MIDNIGHT, RequestInfo()).anonymous_id == ""


def test_who_refuses_shares_no_id_with_what_they_sent_before() -> None:
    subject = Subject(redactor=Redactor(mode="anonymise"), address="kept")
    before = subject.seen(MIDNIGHT)
    refused = subject.seen(MIDNIGHT, ADA, ',"user_id":"u","anonymous_id":"d","context":{"consent":false}')
    assert before.identity.startswith("a:day:")
    assert (refused.identity, refused.anonymous_id, refused.user_id, refused.ip) == ("", "", None, "")


def test_an_id_that_was_given_is_taken_from_who_refuses_when_they_are_read_anew() -> None:
    subject = Subject(redactor=Redactor(mode="anonymise"))
    refusing = EVENT % (ids.named("e", "1").encode(), b',"context":{"consent":false}')
    row = subject.again(refusing, given="day:before")
    assert (row.identity, row.anonymous_id) == ("", "")


def test_a_redelivery_after_the_salt_is_gone_changes_nothing() -> None:
    subject = Subject()
    message = subject.message(MIDNIGHT)
    subject.service.handle([message])
    given = subject.tables.processed[-1][1].identity
    subject.salts.gone = {visitors.day(MIDNIGHT)}
    subject.service.handle([message])
    assert [row.identity for _, row in subject.tables.processed] == [given]
    assert subject.seen(MIDNIGHT).anonymous_id == ""


def test_an_enrichment_anew_keeps_the_id_that_was_given() -> None:
    subject = Subject()
    message = subject.message(MIDNIGHT)
    subject.service.handle([message])
    given = subject.tables.processed[-1][1].anonymous_id
    subject.salts.gone = {visitors.day(MIDNIGHT)}
    line = subject.tables.raw[0][1].raw_data.encode()
    batch, at = subject.tables.raw[0][1].batch_id, subject.tables.raw[0][1].received_at
    header = f'{{"batch_id":"{batch}","batch_size":1,"key_id":"live_k","received_at":{at},"given":{{"0":"{given}"}}}}'
    body = pack(Again(ids.named("r", "1"), 7), [Part(header.encode(), [line])])
    subject.service.handle([Incoming("m", body, at, 1)])
    (row,) = [row for _, row in subject.tables.processed]
    assert (row.anonymous_id, row.generation) == (given, 7)


@pytest.mark.parametrize(("address", "made"), [("kept", True), ("truncated", False), ("dropped", False)])
def test_a_replay_makes_no_id_from_an_address_that_was_cut(address: AddressMode, made: bool) -> None:
    subject = Subject(address)
    row = subject.again(EVENT % (ids.named("e", "1").encode(), b""))
    assert row.anonymous_id.startswith("day:") == made
    if made:
        assert row.anonymous_id == subject.seen(MIDNIGHT).anonymous_id


def test_a_replay_needs_no_salt_where_it_makes_no_id() -> None:
    subject = Subject("dropped")
    subject.salts.away = True
    assert subject.again(EVENT % (ids.named("e", "1").encode(), b""), given="day:before").anonymous_id == "day:before"


def test_without_a_salt_the_message_comes_again_and_nothing_is_stored() -> None:
    subject = Subject()
    subject.salts.away = True
    with pytest.raises(StoreUnavailable):
        subject.seen(MIDNIGHT)
    assert subject.tables.raw == []


@pytest.mark.parametrize(("of", "there"), [(8, False), (9, True), (10, True), (11, True), (12, False)])
def test_a_salt_is_kept_for_its_day_and_the_next(of: int, there: bool) -> None:
    assert visitors.has_salt(of, 10) == there
