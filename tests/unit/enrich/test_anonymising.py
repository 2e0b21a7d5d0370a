"""Of who refuses to be observed nothing is stored by which they are known: in no row, no trace, no dead letter."""

import json
from typing import Any

import pytest

from functions.enrich.assembly import Arrival, Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService, Incoming
from functions.measure.replays.letters import read
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain.privacy import Redactor, parse
from functions.shared.ports import DeadMessage
from schemas.bundle import Again, Part, PartHeader, pack
from schemas.rows import ProcessedRow, RawRow
from schemas.validation import Validator
from tests.unit.enrich.test_redaction import GEO
from tests.unit.enrich.test_service import EVENT, NOW, message

ADDRESS, AGENT = "81.2.69.142", "Mozilla/5.0 (Of Ada) Gecko/20100101 Firefox/140.0"
REQUEST = {"ip": ADDRESS, "user_agent": AGENT}
SESSION = "0193a1b2-c3d4-4e5f-8a9b-0123456789ab"
PERSON: dict[str, Any] = {
    **EVENT, "user_id": "lovelace", "anonymous_id": "device-of-ada", "session_id": SESSION,
    "properties": {"email": "ada@example.com", "plan": "pro"},
}  # fmt: skip
NAMES = ("lovelace", "device-of-ada", SESSION, "ada@example.com", ADDRESS, "81.2.69", AGENT)
REFUSING = {**PERSON, "context": {"consent": {"analytics": False}, **REQUEST}}
REDACTOR = Redactor(mode="anonymise", refused_rules=parse("properties.email=drop"))


def stored(*lines: Any, redactor: Redactor = REDACTOR, **header: Any) -> MemoryTables:
    tables = MemoryTables()
    header = {"request": REQUEST, **header}
    service(tables, redactor).handle([message(*lines, **header)])
    return tables


def service(tables: MemoryTables, redactor: Redactor) -> EnrichService:
    return EnrichService(
        Recorder(tables, lambda: "a"),
        Assembler(Validator(), [], redactor),
        build_steps(GEO, "kept"),
        lambda: NOW,
        lambda *_: pytest.fail("a message could not be read"),
    )


def told(tables: MemoryTables) -> str:
    return repr(tables.raw) + repr(tables.processed)


def is_of_nobody(text: str) -> bool:
    return not any(name in text for name in NAMES)


@pytest.mark.parametrize("signal", ["dnt", "gpc"])
def test_what_a_browser_says_holds_for_every_event_of_the_request(signal: str) -> None:
    tables = stored({**PERSON, "context": REQUEST}, signal=signal)
    assert is_of_nobody(told(tables))
    raw, row = tables.raw[0][1], tables.processed[0][1]
    assert (row.user_id, row.anonymous_id, row.identity, row.ip, row.network) == (None, "", "", "", "")
    assert row.flags == ["anonymised"]
    # What is no trait of the person is as ever.
    assert (row.browser_name, row.geo_country, json.loads(row.properties_text)) == ("Firefox", "GB", {"plan": "pro"})
    assert json.loads(raw.raw_data)["context"]["consent"] == {"analytics": False, "signal": signal}


@pytest.mark.parametrize("signal", ["", "gpc"])
def test_ids_of_devices_and_clicks_go_and_the_channel_stays(signal: str) -> None:
    page = {
        "url": "https://shop.example/p?id=7&gclid=Cj0Kabc&FBCLID=IwAR0#top",
        "referrer": "https://l.example/?fbclid=IwAR1&u=https%3A%2F%2Fx.example%2F%3Fgclid%3DCj0Kdef%26a%3D1",
    }
    context = {**REQUEST, "page": page, "device": {"id": "phone-1", "advertising_id": "ad-1", "type": "mobile"}}
    consent = {} if signal else {"consent": False}
    properties = {"search": "?a=1&gclid=Cj0Kghi"}
    tables = stored({**PERSON, "properties": properties, "context": {**context, **consent}}, signal=signal)
    row = tables.processed[0][1]
    assert not any(one in told(tables) for one in ("Cj0K", "IwAR", "phone-1", "ad-1"))
    assert row.page_url == "https://shop.example/p?id=7&gclid=-&FBCLID=-#top"
    assert (row.click_id, row.channel, row.device_type) == ("gclid:-", "paid_search", "mobile")


def test_an_event_that_refuses_costs_its_neighbours_nothing() -> None:
    other = {**PERSON, "event_id": "0193a1b2-c3d4-7e5f-8a9b-000000000002"}
    tables = stored(REFUSING, other)
    of = {row.event_id: row for _, row in tables.processed}
    assert of[EVENT["event_id"]].identity == ""
    assert (of[other["event_id"]].ip, of[other["event_id"]].user_ref) == (ADDRESS, "lovelace")
    raw = {row.event_id: row for _, row in tables.raw}
    assert raw[EVENT["event_id"]].request_ip == ""
    assert (raw[other["event_id"]].request_ip, raw[other["event_id"]].raw_data) == (ADDRESS, json.dumps(other))


@pytest.mark.parametrize(
    "line",
    [
        {**REFUSING, "platform": 7},
        json.dumps(REFUSING)[:-1] + ',"more":NaN}',
        json.dumps(REFUSING)[:-1] + ',"cut":"\\ud83d"}',
        json.dumps(REFUSING).replace('"consent"', '"\\u0063onsent"'),
        json.dumps(REFUSING).replace("user_id", "\\u0075ser_id"),
        {**PERSON, "context": {"consent.analytics": False, **REQUEST}},
        json.dumps(REFUSING)[:-1],
    ],
)
def test_also_of_what_is_bad_or_oddly_written(line: Any) -> None:
    tables = stored(line.encode() if isinstance(line, str) else line, ids={0: EVENT["event_id"]})
    assert len(tables.raw) == 1
    assert is_of_nobody(told(tables))


def test_read_again_from_what_is_stored_it_is_still_of_nobody() -> None:
    first = stored({**PERSON, "context": REQUEST}, signal="gpc").raw[0][1]
    again = stored(first.raw_data.encode()).raw[0][1]
    assert (again.raw_data, again.flags, again.request_ip) == (first.raw_data, first.flags, "")


def again(raw: RawRow, redactor: Redactor) -> ProcessedRow:
    """As a replay brings what is stored, which knows no signal and no more of the request than the row."""
    tables = MemoryTables()
    header = PartHeader(batch_id=raw.batch_id, batch_size=1, key_id="k", received_at=NOW)
    body = pack(Again(raw.batch_id, 7), [Part(header.model_dump_json().encode(), [raw.raw_data.encode()])])
    service(tables, redactor).handle([Incoming("m", body, NOW, 1)])
    return tables.processed[0][1]


@pytest.mark.parametrize("context", ["absent", None, {}, REQUEST, {"consent": None}])
@pytest.mark.parametrize("replayed_by", [REDACTOR, Redactor()])
def test_a_replay_makes_nobody_of_who_refused_by_signal_whatever_the_context(
    context: Any, replayed_by: Redactor
) -> None:
    event = PERSON if context == "absent" else {**PERSON, "context": context}
    first = stored(event, signal="dnt").raw[0][1]
    row = again(first, replayed_by)
    assert (row.identity, row.flags) == ("", ["anonymised", "replayed"])


def test_who_refused_by_their_own_word_stays_nobody_when_it_is_no_longer_heard() -> None:
    row = again(stored(REFUSING).raw[0][1], Redactor())
    assert (row.identity, row.flags) == ("", ["anonymised", "replayed"])


def test_a_replay_takes_no_id_from_who_was_not_anonymised_while_refusals_are_not_heard() -> None:
    first = stored(REFUSING, redactor=Redactor()).raw[0][1]
    row = again(first, Redactor())
    assert (row.user_ref, row.flags) == ("lovelace", ["replayed"])


def test_a_dead_letter_of_who_refuses_is_of_nobody_too() -> None:
    for given in ({"signal": "gpc"}, {}):
        body = message(REFUSING, request=REQUEST, **given).body
        (death,) = read(DeadMessage(body, "why", 5, NOW, NOW, "1", 1, None), REDACTOR)
        assert is_of_nobody(repr(death.letter))


@pytest.mark.parametrize("body", [json.dumps(PERSON), json.dumps({"v": 2, "events": [PERSON]}), "lovelace"])
def test_of_a_message_that_cannot_be_read_nothing_is_kept(body: str) -> None:
    row = Assembler(Validator(), [], REDACTOR).unreadable(body.encode(), Arrival(NOW, 1), NOW, "no envelope")
    (death,) = read(DeadMessage(body.encode(), "why", 5, NOW, NOW, "1", 1, None), REDACTOR)
    assert (row.raw_data, row.flags, death.letter.raw_data) == ("", ["bytes_dropped"], "")
    kept = Assembler(Validator(), []).unreadable(body.encode(), Arrival(NOW, 1), NOW, "no envelope")
    assert kept.raw_data == body


def test_where_nobody_is_asked_everything_is_as_it_was_sent() -> None:
    tables = stored(REFUSING, redactor=Redactor(), signal="gpc")
    assert (tables.processed[0][1].user_ref, tables.raw[0][1].raw_data) == ("lovelace", json.dumps(REFUSING))
