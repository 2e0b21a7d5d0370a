"""Nothing that an operator told to drop or to hash is in any row, whatever a client sent and however it wrote it."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService
from functions.shared.adapters.geo_mmdb import load
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain import ids
from functions.shared.domain.privacy import AddressMode, Redactor, parse
from schemas.validation import Validator
from tests.unit.enrich.steps.hostile import OBJECTS
from tests.unit.enrich.test_service import EVENT, NOW, message

PERSON = "ada.lovelace@example.com"
ADDRESS = "81.2.69.142"
SECRET = "a secret of sixteen"
RULES = (
    "properties.email=drop, properties.list.mail=hash, context.user.phone=hash, user_id=hash, anonymous_id=drop,"
    " email=drop, context.page.url=drop"
)
GEO = load(Path(__file__).parents[2] / "data")


def stored(lines: Sequence[Any], rules: str = RULES, address: AddressMode = "dropped", **header: Any) -> MemoryTables:
    tables = MemoryTables()
    EnrichService(
        Recorder(tables, lambda: "a"),
        Assembler(Validator(), ["amount"], Redactor(address, parse(rules), SECRET)),
        build_steps(GEO, address),
        lambda: NOW,
        lambda *_: pytest.fail("a message could not be read"),
    ).handle([message(*lines, **header)])
    return tables


def everything(tables: MemoryTables) -> str:
    return repr(tables.raw) + repr(tables.processed)


def event(**more: Any) -> dict[str, Any]:
    return {**EVENT, **more}


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


_HEAD = json.dumps(EVENT)[:-1]
# The same person in every manner of writing that came to mind.
WRITTEN = [
    json.dumps(event(properties={"email": PERSON, "list": [{"mail": PERSON}, [{"mail": PERSON}], 7]})),
    json.dumps(event(context={"user": {"phone": PERSON}, "page": {"url": f"https://a.example/?m={PERSON}"}})),
    json.dumps(event(context={"user": {"phone": {"of": [PERSON]}}, "page.url": PERSON})),
    json.dumps(event(user_id=PERSON, anonymous_id=PERSON, email=PERSON)),
    json.dumps(event(**{"properties.email": PERSON, "context.user.phone": PERSON, "context.user": {"phone": PERSON}})),
    _HEAD + f',"properties":{{"email":"{PERSON}"}},"properties":{{"email":"{PERSON}","email":"x"}}}}',
    _HEAD + f',"properties":{{"email":"{PERSON}"}},"properties":7}}',
    _HEAD + f',"\\u0065mail":"{escaped(PERSON)}","{escaped("user_id")}":"{PERSON}"}}',
    _HEAD + f',"user_id":"{PERSON}","properties":{{"n":NaN,"email":"{PERSON}"}}}}',
    _HEAD + f',"user_id":"{PERSON}","properties":{{"cut":"\\ud83d","email":"{PERSON}"}}}}',
    _HEAD + f',"user_id":"{PERSON}","properties":{{"n":1{"0" * 30},"email":"{PERSON}"}}}}',
    _HEAD + f',"user_id":"{PERSON}","properties":{{"n":1{"0" * 5000},"email":"{PERSON}"}}}}',
    _HEAD + f',"user_id":"{PERSON}","properties":{{"list":{"[" * 5000}"{PERSON}"{"]" * 5000}}}}}',
    json.dumps({"user_id": PERSON, "properties": {"email": PERSON}}),
    _HEAD + f',"user_id":"{PERSON}',
    f'["{PERSON}"]',
    f'"{PERSON}"',
    PERSON,
]
BYTES = [text.encode() for text in WRITTEN] + [
    WRITTEN[0].encode("utf-16"),
    WRITTEN[3].encode("utf-32"),
    b"\xef\xbb\xbf" + WRITTEN[3].encode(),
    WRITTEN[3].encode() + b"\xff",
    b"\x00" + WRITTEN[3].encode(),
]


@pytest.mark.parametrize("line", BYTES, ids=range(len(BYTES)))
def test_however_it_is_written_no_named_value_is_stored(line: bytes) -> None:
    opaque = {0: base64.b64encode(line).decode()}
    header: dict[str, Any] = {"ids": {0: ids.named("e", "1")}, "opaque": opaque}
    tables = stored([b""], **header)
    assert len(tables.raw) == 1
    told = everything(tables)
    assert PERSON not in told
    assert "lovelace" not in told
    assert escaped(PERSON) not in told
    assert tables.raw[0][1].digest == hashlib.sha256(line).hexdigest()


@given(OBJECTS, OBJECTS, st.sampled_from(["drop", "hash"]), st.sampled_from(["kept", "truncated", "dropped"]))
def test_whatever_is_beside_it_it_is_not_stored_and_all_else_is(
    properties: dict[str, Any], context: dict[str, Any], action: str, address: AddressMode
) -> None:
    sent = event(properties={**properties, "email": PERSON}, context={**context, "user": {"phone": PERSON}})
    rules = f"properties.email={action},context.user.phone={action}"
    tables = stored([sent], rules, address)
    assert PERSON not in everything(tables)
    left = json.loads(tables.raw[0][1].raw_data)
    without = {name: value for name, value in left["properties"].items() if name != "email"}
    assert without == json.loads(json.dumps({name: value for name, value in properties.items() if name != "email"}))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (ADDRESS, "81.2.69.0"),
        (f"{ADDRESS}:51234", "81.2.69.0"),
        (f"10.0.0.1, {ADDRESS}", "81.2.69.0"),
        ("::ffff:" + ADDRESS, "81.2.69.0"),
        ("2001:218:1:2:3:4:5:6", "2001:218:1::"),
        ("[2001:218:1:2:3:4:5:6]:443", "2001:218:1::"),
    ],
)
def test_a_truncated_address_is_one_everywhere_after_the_place_was_found_by_the_whole_one(sent: str, kept: str) -> None:
    tables = stored([event(context={"ip": sent, "n": 1.50})], "", "truncated")
    row = tables.processed[0][1]
    assert row.ip == kept
    assert json.loads(row.context_text) == {"ip": kept, "n": 1.5}
    assert '"n":1.5' in tables.raw[0][1].raw_data.replace(" ", "")
    assert row.geo_country in ("GB", "JP")
    assert sent not in everything(tables)


def test_of_a_request_the_address_is_truncated_too_and_the_fingerprint_is_of_what_is_stored() -> None:
    request = {"ip": ADDRESS, "user_agent": "curl"}
    one, other = (
        stored([EVENT], "", "truncated", request={**request, "ip": ip}).processed[0][1] for ip in (ADDRESS, "81.2.69.9")
    )
    assert (one.ip, one.network, one.geo_country) == ("81.2.69.0", "81.2.69.0/24", "GB")
    assert one.identity == other.identity
    assert ADDRESS not in repr(one)


def test_a_dropped_address_leaves_its_country_alone() -> None:
    tables = stored([event(context={"ip": ADDRESS})], "", "dropped")
    row = tables.processed[0][1]
    assert (row.ip, row.network, row.geo_country, row.context_text) == ("", "", "GB", "{}")
    assert "81.2.69" not in everything(tables)


@pytest.mark.parametrize("ip", [7, None, ["81.2.69.142"], {"v4": ADDRESS}, "no address", ""])
def test_what_stands_in_place_of_an_address_and_is_none_is_not_kept(ip: Any) -> None:
    assert stored([event(context={"ip": ip})], "", "truncated").raw[0][1].context_text == "{}"


def test_what_no_rule_names_stays_as_the_text_that_was_sent() -> None:
    line = _HEAD.encode() + b',"properties":{"email":"a","price":1.0,"big":12345678901234567,"t":"\\u00e9"}}'
    row = stored([line], "properties.email=drop").processed[0][1]
    assert row.properties_text == '{"price":1.0,"big":12345678901234567,"t":"\\u00e9"}'


def test_without_rules_every_byte_stays() -> None:
    line = _HEAD.encode() + b' , "context" : {"ip":"81.2.69.142"} }'
    assert stored([line], "", "kept").raw[0][1].raw_data.encode() == line


def test_a_hashed_user_is_the_same_user_each_time_and_a_hash_is_not_hashed_again() -> None:
    redactor = Redactor("kept", parse("user_id=hash"), SECRET)
    once = redactor.text(json.dumps(event(user_id="ada")).encode())
    assert redactor.text(once) == once
    row = stored([event(user_id="ada")], "user_id=hash", "kept").processed[0][1]
    assert row.user_ref == redactor.user("ada") == json.loads(once)["user_id"]
    assert row.user_id == ids.named("user", redactor.user("ada"))
    assert Redactor("kept", parse("user_id=hash"), "another secret....").user("ada") != row.user_ref
    assert Redactor("kept", parse("user_id=drop"), SECRET).user("ada") == "ada"


def test_a_dropped_measure_is_not_measured() -> None:
    row = stored([event(properties={"amount": 7})], "properties.amount=drop", "kept").processed[0][1]
    assert "amount" not in json.loads(row.metrics_text)


def test_what_cannot_be_read_says_that_its_bytes_are_gone() -> None:
    row = stored([b"{" + PERSON.encode()], "properties.email=drop", "kept", ids={0: EVENT["event_id"]}).raw[0][1]
    assert (row.processing_status, row.raw_data, row.flags) == ("failed", "", ["bytes_dropped"])


@pytest.mark.parametrize(
    "text",
    [
        "email",
        "email=keep",
        "a..b=drop",
        "=drop",
        "event_id=hash",
        "properties=drop",
        "context.ip=drop",
        "timestamp=drop",
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"redacted|rule|setting"):
        parse(text)
