"""Sessions, journeys, funnels, paths, retention, metrics and anomalies as they are asked for, over a real store."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.measure.metrics import definitions
from functions.serve import analytics_views as views
from functions.serve import openapi
from functions.serve import views as event_views
from functions.serve.analytics import AnalyticsService
from functions.serve.answer_cache import AnswerCache
from functions.serve.service import ServeService
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.domain import ids, instants, tags
from functions.shared.domain.keys import NOBODY, Key
from functions.shared.domain.series import ANOMALIES, METRICS, AnomalyRow, MetricRow
from functions.shared.edge import Answer, Request, answering
from functions.shared.ports import Depth
from tests.integration import test_stitching as stitching
from tests.support import deliveries
from tests.support.batches import Batches
from tests.support.reference_funnels import funnel
from tests.support.reference_paths import paths
from tests.support.reference_retention import retention
from tests.support.serve_store import Store
from tests.support.stitched import SECOND, Event, Session, Stitched, random_events

pytestmark = pytest.mark.engines

DAY = 86_400
SINCE = 1_767_225_600
UNTIL = SINCE + 20 * DAY
NOW = UNTIL * SECOND
USER = ids.named("user", "ada")
TESTER = Key(key_id="test_reader", scopes=("read",))
COMPONENTS = {"components": openapi.document()["components"]}
SCHEMAS = {
    views.sessions: "SessionPage",
    views.session: "SessionWithEvents",
    views.journey: "Journey",
    views.funnels: "Funnel",
    views.paths: "Paths",
    views.retention: "Retention",
    views.metrics: "Metrics",
    views.metric: "MetricSeries",
    views.anomalies: "Anomalies",
}


class Api:
    """The views over the real reader, and events to be asked about."""

    def __init__(self, store: Store) -> None:
        self.client = store.client
        self.stitched = Stitched(store.client)
        self.series = MemorySeries()
        self.reader = ClickHouseReader(store.url, store.database, seconds=20)
        self.service = AnalyticsService(self.reader, self.series, definitions.load(), lambda: NOW)
        self.cache = AnswerCache()
        self.events: list[Event] = []
        self.sessions: list[Session] = []

    def put(self, events: list[Event]) -> None:
        self.events, self.sessions = events, self.stitched.put(events)
        self.cache = AnswerCache()

    def call(self, view: Any, given: dict[str, Any], headers: dict[str, str] | None = None, **path: str) -> Answer:
        query = {name: one if isinstance(one, list) else [str(one)] for name, one in given.items()}
        named = (given.get("environment"), given.get("tags.environment"))
        key = TESTER if "test" in named else NOBODY
        request = Request(
            params=query, headers=headers or {}, path_params=path, path=f"/{view.__name__}/{path}", key=key
        )
        answer = answering(lambda one: view(self.service, one, self.cache))(request)
        if answer.body:
            name = SCHEMAS[view] if answer.status == 200 else "Problem"
            schema = {"$ref": f"#/components/schemas/{name}", **COMPONENTS}
            jsonschema.Draft202012Validator(schema).validate(json.loads(answer.body))
        return answer

    def get(self, view: Any, given: dict[str, Any] | None = None, **path: str) -> Any:
        answer = self.call(view, given or {}, **path)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def refused(self, view: Any, given: dict[str, Any], **path: str) -> tuple[int, str]:
        answer = self.call(view, given, **path)
        return answer.status, json.loads(answer.body)["detail"]

    def all_pages(self, view: Any, name: str, given: dict[str, Any], **path: str) -> list[Any]:
        found, cursor = [], {}
        while True:
            page = self.get(view, {**given, **cursor}, **path)
            found += page[name]
            if not page["has_more"]:
                assert page["next_cursor"] is None
                return found
            cursor = {"cursor": page["next_cursor"]}


@pytest.fixture(scope="module")
def api(store: Store) -> Api:
    """Twenty days of events, some at the same instants; one visitor is a known user."""
    made = Api(store)
    events = random_events(3, 600, SINCE, 20 * DAY, visitors=12) + random_events(4, 300, SINCE + DAY, 7_200)
    made.put([Event(**{**vars(one), "visitor": f"u:{USER}"}) if one.visitor == "a:3" else one for one in events])
    return made


def at(seconds: int) -> str:
    return instants.to_text(seconds * SECOND)


STEPS = st.lists(st.sampled_from(["a", "b", "c", "d", "nobody did"]), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.sampled_from([1, 60, 600, 3_600, 86_400, 2_000_000]), st.sampled_from([None, "platform", "country"]))
def test_funnels_are_what_a_plain_computation_says(api: Api, steps: list[str], window: int, group: str | None) -> None:
    given = {"steps": ",".join(steps), "window_seconds": window, **({"group_by": group} if group else {})}
    answer = api.get(views.funnels, given)
    wanted = funnel(api.events, steps, window, group)
    groups = {one["group"]: one["steps"] for one in answer["groups"]} if group else {None: answer["steps"]}
    if not group and not wanted:
        wanted = {None: [(0, None)] * len(steps)}
    found = {
        name: [(step["visitors"], step["median_seconds_from_previous"]) for step in all_]
        for name, all_ in groups.items()
    }
    assert found == {
        name: [(n, pytest.approx(m) if m is not None else None) for n, m in w] for name, w in wanted.items()
    }


def test_a_funnel_looks_at_its_range_only(api: Api) -> None:
    given = {"steps": ["a", "b"], "window_seconds": 3_600, "from": at(SINCE + DAY), "to": at(SINCE + 2 * DAY)}
    within = [one for one in api.events if SINCE + DAY <= one.at // SECOND < SINCE + 2 * DAY]
    found = [step["visitors"] for step in api.get(views.funnels, given)["steps"]]
    assert found == [count for count, _ in funnel(within, ["a", "b"], 3_600)[None]]


def test_bots_are_left_out_of_a_funnel_where_that_is_asked_for(api: Api) -> None:
    people = [one for one in api.events if not one.is_bot]
    answer = api.get(views.funnels, {"steps": "a,b", "window_seconds": 600, "bots": "exclude"})
    assert [one["visitors"] for one in answer["steps"]] == [n for n, _ in funnel(people, ["a", "b"], 600)[None]]


@pytest.mark.parametrize("start", [None, "/a", "b"])
@pytest.mark.parametrize("depth", [1, 3, 20])
def test_paths_are_what_a_plain_computation_says(api: Api, start: str | None, depth: int) -> None:
    given = {"depth": depth, "limit": 500, **({"start": start} if start else {})}
    answer = api.get(views.paths, given)
    wanted = paths(api.sessions, start, depth)
    assert {tuple(one["path"]): one["sessions"] for one in answer["paths"]} == wanted
    assert answer["sessions"] == sum(wanted.values())
    assert [one["sessions"] for one in answer["paths"]] == sorted(wanted.values(), reverse=True)


@pytest.mark.parametrize("interval", ["day", "week"])
@pytest.mark.parametrize("days", [(0, 20), (1, 2)])
def test_retention_is_what_a_plain_computation_says(api: Api, interval: str, days: tuple[int, int]) -> None:
    since, until = (SINCE + day * DAY for day in days)
    answer = api.get(views.retention, {"interval": interval, "from": at(since), "to": at(until)})
    found = {one["cohort"]: one["returning"] for one in answer["cohorts"]}
    assert found == retention(api.events, interval, since * SECOND, until * SECOND)


def test_sessions_are_paged_newest_first_without_a_gap(api: Api) -> None:
    found = api.all_pages(views.sessions, "sessions", {"limit": 7})
    assert len({one["session_id"] for one in found}) == len(found)
    assert {one["session_id"] for one in found} == {one.session_id for one in api.sessions}
    starts = [instants.from_text(one["started_at"]) for one in found]
    assert starts == sorted(starts, reverse=True)


def test_sessions_are_found_by_range_and_user(api: Api) -> None:
    since, until = SINCE + DAY, SINCE + 3 * DAY
    page = api.get(views.sessions, {"from": at(since), "to": at(until), "user_id": "ada", "limit": 1000})
    wanted = {
        one.session_id
        for one in api.sessions
        if one.visitor == f"u:{USER}" and since * SECOND <= one.started_at < until * SECOND
    }
    assert {one["session_id"] for one in page["sessions"]} == wanted
    assert {one["user_id"] for one in page["sessions"]} == {USER}


def test_a_session_has_its_events_in_order(api: Api) -> None:
    session = max(api.sessions, key=lambda one: len(one.events))
    events = api.all_pages(views.session, "events", {"limit": 2}, session_id=session.session_id)
    assert [one["event_id"] for one in events] == [one.event_id for one in session.events]
    told = api.get(views.session, session_id=session.session_id.upper())
    assert told["event_count"] == len(session.events)
    assert told["duration_seconds"] == session.duration_ns / SECOND


def test_a_journey_has_all_events_of_a_user_within_their_sessions(api: Api) -> None:
    sessions = api.all_pages(views.journey, "sessions", {"limit": 9}, user_id="ada")
    found = [event["event_id"] for session in sessions for event in session["events"]]
    wanted = sorted((one for one in api.events if one.visitor == f"u:{USER}"), key=lambda one: one.order)
    assert found == [one.event_id for one in wanted]
    of_event = {event.event_id: one.session_id for one in api.sessions for event in one.events}
    assert all(of_event[event["event_id"]] == one["session_id"] for one in sessions for event in one["events"])


def test_events_are_found_by_their_stitched_session(api: Api) -> None:
    session = max(api.sessions, key=lambda one: len(one.events))
    service = ServeService(api.reader, lambda: Depth(0, 0, 0), [], lambda: NOW)
    request = Request(params={"stitched_session_id": [session.session_id], "limit": ["1000"]}, path="/api/v1/events")
    answer = answering(lambda one: event_views.events(service, one))(request)
    assert {one["event_id"] for one in json.loads(answer.body)["events"]} == {one.event_id for one in session.events}


def test_what_test_keys_sent_is_seen_only_when_it_is_asked_for(api: Api) -> None:
    asked: list[tuple[Any, dict[str, Any], str]] = [
        (views.sessions, {"limit": 1000}, "sessions"),
        (views.funnels, {"steps": "a,b", "window_seconds": 9}, "steps"),
        (views.paths, {}, "paths"),
        (views.retention, {}, "cohorts"),
    ]

    def answers(**more: str) -> list[Any]:
        return [api.get(view, {**given, **more})[name] for view, given, name in asked]

    before = answers()
    assert answers(environment="live") == before
    sessions, steps, *others = answers(environment="test")
    assert (sessions, steps[0]["visitors"], others) == ([], 0, [[], []])
    events, testing = api.events, random_events(5, 100, SINCE, 20 * DAY)
    api.put([*events, *(Event(**{**vars(one), "visitor": "a:tester", "environment": "test"}) for one in testing)])
    try:
        assert answers() == before
        sessions, steps, *_ = answers(environment="test")
        assert {one["visitor"] for one in sessions} == {"a:tester"}
        assert steps[0]["visitors"] == 1
    finally:
        api.put(events)


@pytest.mark.parametrize("bots", ["include", "exclude"])
def test_bots_have_sessions_that_can_be_left_out(api: Api, bots: str) -> None:
    found = api.all_pages(views.sessions, "sessions", {"limit": 1000, "bots": bots})
    assert {one["session_id"] for one in found} == {
        one.session_id for one in api.sessions if bots == "include" or not one.is_bot
    }


def test_an_answer_is_kept_until_something_new_was_computed(api: Api) -> None:
    given = {"steps": "a,b", "window_seconds": 60}
    first = api.call(views.funnels, given)
    again = api.call(views.funnels, {"window_seconds": 60, "steps": "a,b"})
    assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.body == again.body
    unchanged = api.call(views.funnels, given, {"if-none-match": first.headers["ETag"]})
    assert (unchanged.status, unchanged.body) == (304, "")
    assert first.headers["Cache-Control"] == "private, max-age=0, must-revalidate"


def test_after_a_batch_each_instance_answers_anew_and_then_again_from_what_it_keeps(store: Store) -> None:
    batches = Batches(store.url, "caching")
    service = AnalyticsService(
        ClickHouseReader(store.url, "caching"), MemorySeries(), definitions.load(), lambda: deliveries.NOW
    )
    caches = [AnswerCache(), AnswerCache()]
    asked: list[tuple[Any, dict[str, Any], dict[str, str]]] = [
        (views.sessions, {}, {}),
        (views.funnels, {"steps": ["a,b"], "window_seconds": ["60"]}, {}),
        (views.paths, {}, {}),
        (views.retention, {}, {}),
        (views.journey, {}, {"user_id": "ada"}),
    ]

    def measured(number: int) -> None:
        name, at = ("a", "b")[number % 2], deliveries.NOW + number * SECOND
        batches.record([stitching.event(random.Random(number), at, event_name=name, user_ref="ada", key_id="k1")])
        assert batches.service(MemorySeries()).run(60).state == "done"

    def answers(cache: AnswerCache, tags: list[str]) -> list[Answer]:
        given = zip(asked, tags, strict=True)
        return [
            view(
                service,
                Request(params=query, path_params=path, path=view.__name__, headers={"if-none-match": t}),
                cache,
            )
            for (view, query, path), t in given
        ]

    tags = [""] * len(asked)
    for number in range(3):
        measured(number)
        for cache in caches:
            made = answers(cache, tags)
            assert [(one.status, one.headers["X-Cache"]) for one in made] == [(200, "MISS")] * len(asked)
            kept = answers(cache, [""] * len(asked))
            assert [(one.body, one.headers["X-Cache"]) for one in kept] == [(one.body, "HIT") for one in made]
        bodies = [json.loads(one.body) for one in made]
        assert bodies[0]["sessions"][0]["event_count"] == number + 1
        assert [step["visitors"] for step in bodies[1]["steps"]] == [1, int(number > 0)]
        tags = [one.headers["ETag"] for one in made]
        assert {one.status for one in answers(AnswerCache(), tags)} == {304}


def test_a_page_of_events_also_ends_where_it_would_be_too_large(api: Api) -> None:
    session = max(api.sessions, key=lambda one: len(one.events))
    small = AnalyticsService(api.reader, api.series, definitions.load(), lambda: NOW, page_bytes=3_000)
    whole, api.service, api.cache = api.service, small, AnswerCache()
    try:
        first = api.get(views.session, session_id=session.session_id)
        assert 0 < len(first["events"]) < len(session.events)
        events = api.all_pages(views.session, "events", {}, session_id=session.session_id)
        assert [one["event_id"] for one in events] == [one.event_id for one in session.events]
        found = [
            event for one in api.all_pages(views.journey, "sessions", {}, user_id="ada") for event in one["events"]
        ]
        assert len(found) == sum(one.visitor == f"u:{USER}" for one in api.events)
    finally:
        api.service, api.cache = whole, AnswerCache()


def test_a_user_who_was_merged_is_found_by_the_sessions_of_the_other(api: Api) -> None:
    other = ids.named("user", "countess")
    assert api.get(views.sessions, {"user_id": "countess"})["sessions"] == []
    api.client.command(
        f"INSERT INTO visitor_aliases (visitor, merged_into, version) VALUES ('u:{other}', 'u:{USER}', 1)"
    )
    api.cache = AnswerCache()
    found = api.get(views.sessions, {"user_id": "countess", "limit": 1000})["sessions"]
    assert {one["session_id"] for one in found} == {o.session_id for o in api.sessions if o.visitor == f"u:{USER}"}
    assert api.get(views.journey, user_id="countess")["visitor"] == f"u:{USER}"


def test_what_is_not_there_is_404(api: Api) -> None:
    assert api.refused(views.session, {}, session_id=ids.NIL)[0] == 404
    assert api.refused(views.journey, {}, user_id="nobody")[0] == 404
    assert api.refused(views.metric, {}, name="speed")[0] == 404
    assert api.refused(views.anomalies, {"metric": "speed"})[0] == 404


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (views.funnels, {"steps": "a", "window_seconds": 60}, "steps: a funnel needs at least 2"),
    (views.funnels, {"window_seconds": 60}, "steps: a funnel needs at least 2"),
    (views.funnels, {"steps": "a,,b", "window_seconds": 60}, "steps: names must not be empty"),
    (views.funnels, {"steps": "a,b"}, "window_seconds: is needed"),
    (views.funnels, {"steps": "a,b", "window_seconds": 0}, "window_seconds: '0' is not a whole number from 1"),
    (views.funnels, {"steps": "a,b", "window_seconds": "-5"}, "window_seconds"),
    (views.funnels, {"steps": "a,b", "window_seconds": 60, "group_by": "visitor"}, "group_by"),
    (views.funnels, {"steps": ",".join("abcdefghijk"), "window_seconds": 60}, "steps: a funnel may have up to 10"),
    (views.sessions, {"from": "2026-02-02", "to": "2026-02-01"}, "from: must not be after to"),
    (views.sessions, {"from": "2026-02-02", "to": "2026-02-02"}, "from: must be before to"),
    (views.sessions, {"limit": 0}, "limit"),
    (views.sessions, {"userid": "x"}, "userid: is not known. Did you mean user_id?"),
    (views.sessions, {"cursor": "x"}, "cursor: is damaged"),
    (views.sessions, {"environment": "prod"}, "environment"),
    (views.paths, {"depth": 0}, "depth"),
    (views.paths, {"start": ""}, "start: must not be empty"),
    (views.retention, {"interval": "0"}, "interval: '0' is not one of day, week"),
    (views.metric, {"interval": "0"}, "interval: '0' is not one of 1m, 1h, 1d"),
    (views.metric, {"tags.plan": "x"}, "tags.plan"),
    (views.metric, {"group_by": "platform,country"}, "events at 1h is measured by platform, event_type"),
    (views.metric, {"interval": "1m", "tags.country": "DE"}, "events at 1m is measured by platform"),
    (views.metric, {"tag.platform": "x"}, "tag.platform: is not known"),
    (views.anomalies, {"limit": 1001}, "limit"),
    (views.anomalies, {"environment": "prod"}, "environment"),
    (views.anomalies, {"metrics": "events"}, "metrics: is not known. Did you mean metric?"),
]


@pytest.mark.parametrize(("view", "given", "told"), BAD)
def test_what_is_wrong_is_told(api: Api, view: Any, given: dict[str, Any], told: str) -> None:
    status, detail = api.refused(view, given, name="events")
    assert status == 400
    assert told in detail


TEXT = st.text(max_size=12) | st.sampled_from(
    ["a,b", "' OR 1=1 --", "{p0:String}", "%s", "2026-01-01", "u:x", "\\'", "1"]
)
NAMES = st.sampled_from(["from", "to", "steps", "window_seconds", "group_by", "start", "depth", "limit", "user_id",
    "anonymous_id", "cursor", "interval", "bots", "environment", "tags.platform", "metric"]) | TEXT  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.lists(TEXT, min_size=1, max_size=2), max_size=4), TEXT)
def test_whatever_is_asked_nothing_breaks(api: Api, given: dict[str, list[str]], path: str) -> None:
    for view in SCHEMAS:
        answer = api.call(view, given, name="events", user_id=path, session_id=path)
        assert answer.status in (200, 400, 404), answer.body
        with_steps = {"steps": ["a,b"], "window_seconds": ["5"], **given}
        assert api.call(views.funnels, with_steps).status in (200, 400)


def test_a_metric_is_answered_by_series(api: Api) -> None:
    hour = SINCE * SECOND
    rows = [
        metric_row(hour, 5.0, {}),
        metric_row(hour + 3_600 * SECOND, 7.0, {}),
        metric_row(hour, 2.0, {"platform": "web"}),
        metric_row(hour, 3.0, {"platform": "ios"}),
        metric_row(hour, 1.0, {"country": "DE"}),
        metric_row(hour, None, {"platform": "tv"}),
        metric_row(hour, 9.0, {}, environment="test"),
    ]
    api.series.write(METRICS, rows)
    between = {"from": at(SINCE), "to": at(SINCE + DAY)}
    total = api.get(views.metric, between, name="events")
    assert total["series"] == [
        {
            "tags": {"environment": "live"},
            "points": [{"timestamp": at(SINCE), "value": 5.0}, {"timestamp": at(SINCE + 3_600), "value": 7.0}],
        }
    ]
    by = api.get(views.metric, {**between, "group_by": "platform"}, name="events")
    assert {one["tags"]["platform"]: one["points"][0]["value"] for one in by["series"]} == {"web": 2.0, "ios": 3.0}
    web = api.get(views.metric, {**between, "tags.platform": "web"}, name="events")
    assert [one["tags"]["platform"] for one in web["series"]] == ["web"]
    test = api.get(views.metric, {**between, "tags.environment": "test"}, name="events")
    assert [one["points"][0]["value"] for one in test["series"]] == [9.0]
    newest = api.get(views.metric, {"interval": "1m"}, name="events")
    assert (newest["from"], newest["to"], newest["series"]) == (at(UNTIL - DAY + 60), at(UNTIL + 60), [])


def metric_row(ts: int, value: float | None, group: dict[str, str], environment: str = "live") -> MetricRow:
    text = tags.canonical({"environment": environment, **group})
    tag = group.get
    return MetricRow(
        ts, "events", "1h", environment, None, tag("platform"), tag("event_type"), tag("country"), tag("device_type"),  # type: ignore[arg-type]
        value, text, tags.digest(text), "{}", "gone" if value is None else "live", NOW,
    )  # fmt: skip


def test_all_metrics_are_listed_with_what_they_are_measured_by(api: Api) -> None:
    found = {one["name"]: one for one in api.get(views.metrics)["metrics"]}
    assert found["events"]["intervals"]["1m"] == [[], ["platform"]]
    assert "bounces" not in found


def anomaly_row(number: int, group: dict[str, str], odd: bool = True) -> AnomalyRow:
    text = tags.canonical(group)
    return AnomalyRow(
        (SINCE + number) * SECOND, "events", "1h", text, tags.digest(text), 1.0, 2.0, 1.5, 2.5, 0.9, "high", 1,
        odd, "live", NOW,
    )  # fmt: skip


def test_anomalies_are_listed_newest_first(api: Api) -> None:
    live = {"environment": "live"}
    api.series.write(ANOMALIES, [anomaly_row(number, live, odd) for number, odd in enumerate((True, False, True))])
    found = api.get(views.anomalies, {"metric": "events", "from": at(SINCE), "to": at(SINCE + 10)})
    assert [one["timestamp"] for one in found["anomalies"]] == [at(SINCE + 2), at(SINCE)]
    assert api.get(views.anomalies, {"limit": 1})["has_more"]


def test_anomalies_of_what_test_keys_sent_are_listed_only_when_they_are_asked_for(api: Api) -> None:
    told = {"environment": "test", "platform": '"environment":"live"'}
    api.series.write(ANOMALIES, [anomaly_row(20, {"environment": "live"}), anomaly_row(20, told)])
    between = {"from": at(SINCE + 20), "to": at(SINCE + 30)}
    for environment, wanted in (({}, "live"), ({"environment": "live"}, "live"), ({"environment": "test"}, "test")):
        found = api.get(views.anomalies, {**between, **environment})["anomalies"]
        assert [one["tags"]["environment"] for one in found] == [wanted]
