"""Serve over real ClickHouse: what the filters find, how pages follow each other, and that no request breaks it."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.serve import openapi, params, views
from functions.serve.service import ServeService
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.domain import ids
from functions.shared.edge import Answer, Request, answering
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import Depth
from tests.support.deliveries import NOW, delivery
from tests.support.serve_store import Store

pytestmark = pytest.mark.engines

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


LARGEST_CHECKED = 100_000
SCHEMAS = {
    views.events: "EventPage",
    views.event: "EventForms",
    views.trace: "Trace",
    views.batch: "BatchState",
    views.properties: "Properties",
    views.status: "Status",
}
COMPONENTS = {"components": openapi.document()["components"]}
VALIDATORS = {
    name: jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **COMPONENTS})
    for name in (*SCHEMAS.values(), "Problem")
}


def check(body: Any, schema: str) -> None:
    """The answer is what the OpenAPI document says."""
    VALIDATORS[schema].validate(body)


class Api:
    """The views over the real reader."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reader = ClickHouseReader(store.url, store.database, seconds=20)
        self.service = ServeService(self.reader, lambda: Depth(0, 0, 0), [], lambda: NOW)

    def call(self, view: Any, given: dict[str, Any], accept: str = "", **path_params: str) -> Answer:
        query = {name: one if isinstance(one, list) else [one] for name, one in given.items()}
        request = Request(params=query, headers={"accept": accept}, path_params=path_params, path="/api/v1/events")
        answer = answering(lambda one: view(self.service, one))(request)
        if "json" in answer.headers["Content-Type"] and len(answer.body) < LARGEST_CHECKED and not accept:
            check(json.loads(answer.body), SCHEMAS[view] if answer.status == 200 else "Problem")
        return answer

    def events(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.call(views.events, {"limit": "1000", **given})
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = json.loads(answer.body)["events"]
        return found

    def names(self, **given: Any) -> set[str]:
        return {one["event_name"] for one in self.events(given)}

    def named(self, given: dict[str, Any]) -> set[str]:
        return {one["event_name"] for one in self.events(given)}

    def pages(self, given: dict[str, Any], between: Any = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.call(views.events, {**given, **cursor})
            assert answer.status == 200, answer.body
            page = json.loads(answer.body)
            found += page["events"]
            if not page["has_more"]:
                return found
            assert page["events"], "a page that is not the last holds something"
            cursor = {"cursor": page["next_cursor"]}
            if between:
                between()


@pytest.fixture(scope="module")
def api(store: Store) -> Api:
    return Api(store)


INSIDE = {
    "int": '{"v":7,"amount":10}',
    "text": '{"v":"7","amount":"12"}',
    "float": '{"v":7.0,"amount":9.5}',
    "word": '{"v":"seven","amount":"many"}',
    "true": '{"v":true}',
    "nested": '{"v":{"deep":"7"},"a.b":{"c":"dotted"}}',
    "list": '{"v":[7,"7"]}',
    "null": '{"v":null}',
    "none": "{}",
    "big": '{"v":9007199254740993,"amount":18446744073709551615}',
    "small": '{"v":0.30000000000000004,"amount":-1e-7}',
    "date": '{"v":"2024-01-01T00:00:00Z","odd key\\u00e9`\'[x]":"odd"}',
}


@pytest.fixture(scope="module")
def inside(api: Api) -> Api:
    """One event for each text of properties, under a platform of their own."""
    api.store.record([delivery(event_name=name, platform="inside", properties=text) for name, text in INSIDE.items()])
    api.store.record([delivery(event_name="context", platform="inside", context='{"page":{"url":"/a"},"v":7}')])
    return api


class TestInside:
    @pytest.mark.parametrize(
        ("given", "found"),
        [
            ({"properties.v": "7"}, {"int", "text", "float"}),
            ({"properties.v": "7.0"}, {"float", "int"}),
            ({"properties.v": "seven"}, {"word"}),
            ({"properties.v": "true"}, {"true"}),
            ({"properties.v": ["true", "seven"]}, {"true", "word"}),
            ({"properties.v": "9007199254740993"}, {"big"}),
            ({"properties.v": "0.30000000000000004"}, {"small"}),
            ({"properties.v": "2024-01-01T00:00:00Z"}, {"date"}),
            ({"properties.v.deep": "7"}, {"nested"}),
            ({"properties.a.b.c": "dotted"}, {"nested"}),
            ({"properties.odd keyé`'[x]": "odd"}, set()),
            ({"properties.odd keyé`'[x][eq]": "odd"}, {"date"}),
            ({"properties.amount": "-1e-7"}, {"small"}),
            ({"properties.amount": "-0.0000001"}, {"small"}),
            ({"properties.amount[gte]": "10"}, {"int", "text", "big", "word"}),
            ({"properties.amount[gt]": "10"}, {"text", "big", "word"}),
            ({"properties.amount[lt]": "10"}, {"float", "small"}),
            ({"properties.amount[lte]": "10.0"}, {"int", "float", "small"}),
            ({"properties.amount[gte]": "9", "properties.amount[lt]": "11"}, {"int", "float"}),
            ({"properties.v[gt]": "9007199254740992", "properties.v[lt]": "9007199254740994"}, {"big"}),
            ({"properties.v[gte]": "2024", "properties.v[contains]": "T00"}, {"date"}),
            ({"properties.v[contains]": "eve"}, {"word"}),
            ({"properties.v[exists]": "true"}, set(INSIDE) - {"null", "none"}),
            ({"properties.v[exists]": "false"}, {"null", "none", "context"}),
            ({"properties.v.deep[exists]": "true"}, {"nested"}),
            ({"properties.v[ne]": "7"}, {*INSIDE, "context"} - {"int", "text", "float"}),
            ({"properties.v[ne]": ["7", "true"]}, {*INSIDE, "context"} - {"int", "text", "float", "true"}),
            ({"context.v": "7"}, {"context"}),
            ({"context.page.url": "/a"}, {"context"}),
            ({"properties.nope": ""}, set()),
        ],
    )
    def test_filters(self, inside: Api, given: dict[str, Any], found: set[str]) -> None:
        if "properties.odd keyé`'[x]" in given:
            assert inside.call(views.events, given).status == 400
            return
        assert inside.named({"platform": "inside", **given}) == found

    def test_any_text_is_found(self, api: Api) -> None:
        chance = random.Random(9)
        texts = ["", " ", "'", '"', "\\", "\\n", "\n\t\0", "é☃😀", "[1]", "{}", "null", "a,b", "x" * 5_000]
        texts += ["".join(chance.choices("ab'\"\\\n,[]{}é😀 0", k=12)) for _ in range(40)]
        texts = list(dict.fromkeys(texts))
        api.store.record(
            [delivery(platform="texts", properties=json.dumps({"t": text, "n": {"t": text}})) for text in texts]
        )
        for text in texts:
            for path in ("t", "n.t"):
                found = api.events({"platform": "texts", f"properties.{path}": text, "fields": "properties.t"})
                assert found == [{"properties": {"t": text}}], text

    def test_the_same_of_raw(self, inside: Api) -> None:
        found = inside.named({"platform": "inside", "source": "raw", "properties.v": "7"})
        assert found == {"int", "text", "float"}

    def test_properties_come_back_exactly_as_sent(self, inside: Api) -> None:
        for source in ("processed", "raw"):
            body = inside.call(views.events, {"platform": "inside", "source": source}).body
            for text in INSIDE.values():
                assert f'"properties":{text},' in body


@pytest.fixture(scope="module")
def events(api: Api) -> dict[str, Any]:
    one = delivery(event_name="one", platform="fields", timestamp=NOW, user_ref="ada", anonymous_id="x'y\\z")
    session = str(uuid.uuid4())
    two = delivery(event_name="two", platform="fields", timestamp=NOW + 1, session_id=session)
    bad = delivery(event_name="bad", platform="fields", timestamp=NOW + 2, failed=True)
    api.store.record([one, two, bad])
    return {"one": one, "two": two, "bad": bad, "session": session}


class TestFields:
    def test_each_filter(self, api: Api, events: dict[str, Any]) -> None:
        def found(**given: Any) -> set[str]:
            return api.names(platform="fields", **given)

        one = events["one"].raw
        assert found() == {"one", "two"}
        assert found(event_id=[one.event_id, str(uuid.uuid4())]) == {"one"}
        assert found(user_id="ada") == found(user_id=ids.named("user", "ada").upper()) == {"one"}
        assert found(anonymous_id="x'y\\z") == {"one"}
        assert found(session_id=events["session"]) == {"two"}
        assert found(event_name=["two", "none"]) == {"two"}
        assert found(event_type="nothing") == set()
        assert found(source="raw") == {"one", "two", "bad"}
        assert found(source="raw", status="failed") == {"bad"}
        assert found(source="raw", status=["failed", "processed"]) == {"one", "two", "bad"}
        assert found(source="raw", status="pending") == set()

    def test_the_range_is_half_open_to_the_nanosecond(self, api: Api, events: dict[str, Any]) -> None:
        given = {"platform": "fields", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00.000000001Z"}
        assert NOW == 1_767_225_600 * SECOND
        assert api.named(given) == {"one"}

    def test_one_event(self, api: Api, events: dict[str, Any]) -> None:
        found = json.loads(api.call(views.event, {}, event_id=events["one"].raw.event_id).body)
        assert found["raw"]["raw_data"] == events["one"].raw.raw_data
        assert found["processed"]["user_ref"] == "ada"
        assert found["processed"]["timestamp"] == "2026-01-01T00:00:00Z"
        failed = json.loads(api.call(views.event, {}, event_id=events["bad"].raw.event_id).body)
        assert failed["processed"] is None
        assert failed["raw"]["errors"] == json.loads(events["bad"].raw.error_message)

    def test_trace(self, api: Api, events: dict[str, Any]) -> None:
        found = json.loads(api.call(views.trace, {}, event_id=events["bad"].raw.event_id).body)
        assert [stage["stage"] for stage in found["stages"]] == ["accepted", "queued", "enriched", "failed"]
        assert all(stage["at"] for stage in found["stages"])

    def test_unknown_ids(self, api: Api) -> None:
        unknown = str(uuid.uuid4())
        for view in (views.event, views.trace):
            assert api.call(view, {}, event_id=unknown).status == 404
        assert api.call(views.batch, {}, batch_id=unknown).status == 404


@pytest.fixture(scope="module")
def many(api: Api) -> set[str]:
    chance = random.Random(7)
    made = [
        delivery(event_id=str(uuid.UUID(int=chance.getrandbits(128))), platform="many", timestamp=NOW + number // 40)
        for number in range(400)
    ]
    chance.shuffle(made)
    api.store.record(made)
    return {one.raw.event_id for one in made}


class TestPages:
    """Many events at few instants, so that the order within an instant matters at every page's edge."""

    @pytest.mark.parametrize("order_by", ["timestamp", "stored_at"])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("source", ["processed", "raw"])
    def test_every_event_once_in_order(self, api: Api, many: set[str], order: str, order_by: str, source: str) -> None:
        given = {"platform": "many", "limit": "17", "order": order, "order_by": order_by, "source": source}
        found = api.pages({**given, "fields": f"event_id,{order_by}"})
        keys = [(one[order_by], one["event_id"]) for one in found]
        assert len(keys) == len(many)
        assert {one["event_id"] for one in found} == many
        assert keys == sorted(keys, key=lambda one: (_nanoseconds(one[0]), one[1]), reverse=order == "desc")

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_events_years_apart(self, api: Api, order: str) -> None:
        chance = random.Random(f"years {order}")
        platform = f"years-{order}"
        at = [NOW - DAY * 365 * 20 + chance.randrange(40 * 365) * DAY for _ in range(60)]
        at += [NOW + chance.randrange(90 * DAY) for _ in range(60)]
        api.store.record([delivery(platform=platform, timestamp=one) for one in at])
        given = {"platform": platform, "order": order, "limit": "7", "fields": "event_id,timestamp"}
        found = [_nanoseconds(one["timestamp"]) for one in api.pages(given)]
        assert found == sorted(at, reverse=order == "desc")
        inside = {**given, "from": "2026-01-10", "to": "2026-03-10"}
        low, high = _nanoseconds("2026-01-10"), _nanoseconds("2026-03-10")
        found = [_nanoseconds(one["timestamp"]) for one in api.pages(inside)]
        assert found == sorted((one for one in at if low <= one < high), reverse=order == "desc")

    def test_what_is_stored_meanwhile_moves_nothing(self, api: Api, many: set[str]) -> None:
        chance = random.Random(8)

        def add() -> None:
            at = NOW + chance.randrange(-2, 14)
            api.store.record([delivery(platform="many", timestamp=at, event_name="late")])

        found = api.pages({"platform": "many", "limit": "50", "fields": "event_id"}, between=add)
        early = [one["event_id"] for one in found if one["event_id"] in many]
        assert len(early) == len(set(early)) == len(many)

    def test_a_page_ends_at_four_mebibytes(self, api: Api) -> None:
        big = json.dumps({"text": "x" * 15_000, "more": ["y" * 15_000] * 3})
        api.store.record([delivery(platform="big", properties=big) for _ in range(100)])
        answer = api.call(views.events, {"platform": "big", "limit": "1000"})
        page = json.loads(answer.body)
        assert page["has_more"]
        assert len(answer.body) <= 4 * 1024 * 1024 + 200
        assert len(answer.body) > 3.9 * 1024 * 1024
        assert len(api.pages({"platform": "big", "limit": "1000", "fields": "event_id,properties"})) == 100

    def test_following_finds_what_is_stored_later(self, api: Api) -> None:
        given = {"platform": "follow", "order_by": "stored_at", "order": "asc", "fields": "event_name"}
        api.store.record([delivery(platform="follow", event_name="first", timestamp=NOW + DAY)])
        first = json.loads(api.call(views.events, given).body)
        assert [one["event_name"] for one in first["events"]] == ["first"]
        api.store.record([delivery(platform="follow", event_name="second", timestamp=NOW - DAY)])
        second = json.loads(api.call(views.events, {**given, "cursor": first["next_cursor"]}).body)
        assert [one["event_name"] for one in second["events"]] == ["second"]


class TestLedger:
    def test_a_batch(self, api: Api) -> None:
        batch = str(uuid.uuid4())
        before = delivery(platform="ledger")
        api.store.record([before])
        again = delivery(
            event_id=before.raw.event_id, received_at=NOW + SECOND, batch_id=batch, batch_index=2, batch_size=4
        )
        good = delivery(batch_id=batch, batch_index=0, batch_size=4)
        bad = delivery(batch_id=batch, batch_index=1, batch_size=4, failed=True)
        api.store.record([good, bad, again])
        found = json.loads(api.call(views.batch, {}, batch_id=batch).body)
        assert (found["state"], found["received"]) == ("processing", 4)
        api.store.record([delivery(batch_id=batch, batch_index=3, batch_size=4)])
        found = json.loads(api.call(views.batch, {}, batch_id=batch).body)
        counts = [found[name] for name in ("state", "received", "stored", "failed", "duplicates")]
        assert counts == ["complete", 4, 2, 1, 1]
        [failure] = found["failures"]
        assert (failure["index"], failure["event_id"]) == (1, bad.raw.event_id)
        trace = json.loads(api.call(views.trace, {}, event_id=before.raw.event_id).body)
        assert [one["batch_index"] for one in trace["duplicates"]] == [2]

    def test_properties(self, api: Api) -> None:
        texts = ['{"a":1,"b":{"c":"x"}}', '{"a":"1"}']
        api.store.record([delivery(event_name="typed", properties=text) for text in texts])
        found = json.loads(api.call(views.properties, {"event_name": "typed"}).body)
        [name] = found["event_names"]
        assert {one["path"]: sorted(one["types"]) for one in name["properties"]} == {
            "a": ["integer", "string"],
            "b.c": ["string"],
        }

    def test_status(self, api: Api) -> None:
        found = json.loads(api.call(views.status, {}).body)
        assert found["unavailable"] == {}
        ledger = found["ledger"]
        assert ledger["received"] == ledger["stored"] + ledger["duplicates"]
        assert ledger["stored"] == ledger["processed"] + ledger["failed"]

    def test_a_redelivery_by_the_broker_is_not_received_again_and_a_resend_by_the_client_is(self, api: Api) -> None:
        def counts() -> dict[str, int]:
            found: dict[str, int] = json.loads(api.call(views.status, {}).body)["ledger"]
            return found

        before = counts()
        batch = [delivery(batch_index=place, batch_id=str(uuid.uuid4()), failed=place == 2) for place in range(3)]
        for _ in range(3):
            api.store.record(batch)
        api.store.record([*batch, *batch])
        resent = delivery(event_id=batch[0].raw.event_id, received_at=NOW + SECOND)
        api.store.record([resent])
        grown = {name: count - before[name] for name, count in counts().items()}
        assert grown == {"received": 4, "stored": 3, "processed": 2, "failed": 1, "erased": 0, "duplicates": 1}


class TestTrouble:
    def test_a_query_that_takes_too_long_is_told_so(self, api: Api) -> None:
        with pytest.raises(StoreUnavailable, match="longer than"):
            list(api.reader.rows("SELECT max(cityHash64(number)) FROM numbers(1000000000000)", {}, 0.3))

    def test_a_store_that_is_not_there(self) -> None:
        with pytest.raises(StoreUnavailable):
            ClickHouseReader("http://127.0.0.1:9", "weir").ping()

    def test_reading_cannot_write(self, api: Api) -> None:
        with pytest.raises(StoreUnavailable):
            list(api.reader.rows("CREATE TABLE x (a Int8) ENGINE = Memory", {}))

    def test_a_reader_that_stops_early_leaves_the_connection_usable(self, api: Api) -> None:
        for _ in range(20):
            rows = api.reader.rows("SELECT number FROM numbers(10000000)", {})
            assert next(rows) == [0]
            rows.close()
        assert list(api.reader.rows("SELECT 1", {})) == [[1]]

    def test_a_failure_in_mid_answer_is_no_short_answer(self, api: Api) -> None:
        with pytest.raises(StoreUnavailable):
            list(api.reader.rows("SELECT number, throwIf(number = 3000000) FROM numbers(5000000)", {}))


TEXT = st.text(max_size=40) | st.sampled_from(
    ["", "7", "7.0", "-1e308", "1e999", "9" * 40, "nan", "inf", "true", "null", "'", "\\", "\\N", "%s", "{p0:String}",
     "2026-01-01", "2026-01-01T00:00:00Z", "\0", "\t\n\r", "\ud83d", str(uuid.UUID(int=7)), "☃", "0x10", "1_000", "+7"]
)  # fmt: skip
PATH = TEXT | st.sampled_from(
    ["a", "a.b", "^a", "`a`", "^`a`", "a.:Int64", ":`", "a.:`", "a`b", "a[]", "a.:`Array(Int64)`", ".", "..", "a." * 30]
)
NAME = (
    st.sampled_from([name for name in params.KNOWN if "<" not in name])
    | st.builds("{}.{}".format, st.sampled_from(["properties", "context"]), PATH)
    | st.builds(
        "{}.{}[{}]".format, st.sampled_from(["properties", "context"]), PATH, st.sampled_from(params.OPERATORS) | TEXT
    )
    | TEXT
)
QUERY = st.dictionaries(NAME, st.lists(TEXT, min_size=1, max_size=3), max_size=4)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from([["raw"], ["processed"]]),
        "order": st.sampled_from([["asc"], ["desc"]]),
        "order_by": st.sampled_from([["timestamp"], ["stored_at"]]),
        "limit": st.integers(1, 1000).map(lambda one: [str(one)]),
        "fields": st.lists(
            st.sampled_from(["event_id", "geo", "properties", "flags"]) | PATH.map("properties.{}".format)
        ),
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERY, likely=LIKELY, accept=st.sampled_from(["", "text/csv", "application/x-ndjson"]))
def test_nothing_a_client_sends_breaks_it(
    inside: Api, query: dict[str, list[str]], likely: dict[str, list[str]], accept: str
) -> None:
    answer = inside.call(views.events, {**query, **likely}, accept)
    assert answer.status in (200, 400), answer.body
    answer.body.encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=st.sampled_from(["properties", "context"]),
    path=PATH,
    operator=st.sampled_from(params.OPERATORS),
    values=st.lists(TEXT, min_size=1, max_size=3),
)
def test_no_filter_breaks_it(inside: Api, document: str, path: str, operator: str, values: list[str]) -> None:
    given_values = [value for value in values if operator != "exists"] or ["true"]
    answer = inside.call(views.events, {f"{document}.{path}[{operator}]": given_values, "fields": "event_id"})
    allowed = (200, 400) if not path or "`" in path or "\ud83d" in path + "".join(given_values) else (200,)
    assert answer.status in allowed, answer.body


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERY, identity=TEXT)
def test_nor_do_the_other_routes(inside: Api, query: dict[str, list[str]], identity: str) -> None:
    for view in (views.properties, views.status):
        assert inside.call(view, query).status in (200, 400)
    for view, name in ((views.event, "event_id"), (views.trace, "event_id"), (views.batch, "batch_id")):
        assert inside.call(view, query, **{name: identity}).status in (200, 400, 404)


def _nanoseconds(text: str) -> int:
    return params.instant("at", text)
