"""The data's own quality, from events to what the API tells, over real engines and by the real wiring."""

from __future__ import annotations

import json
import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from functions.serve import analytics_views as views
from functions.shared import wiring
from functions.shared.domain import ids, instants
from functions.shared.edge import Answer, Request, answering
from infra.clickhouse.migrate import migrate
from infra.questdb.migrate import migrate as migrate_questdb
from tests.support.clickhouse import ClickHouse
from tests.support.questdb import QuestDb

pytestmark = pytest.mark.engines

START = 1_767_571_200  # a Monday
HOUR = 3_600
HOURS = 14 * 24
SPIKE, DIP, SILENT, MISSING, SKEWED, FAILING, VIOLATING = 270, 280, 290, 300, 308, 316, 324


@dataclass
class Stack:
    """A store, a QuestDB, and the services over both as they are deployed."""

    clickhouse: ClickHouse
    questdb: QuestDb
    client: Any

    def measure(self) -> Any:
        """One tick."""
        return wiring.measure_service().run(600, 60)

    def put(self, events: list[dict[str, Any]]) -> None:
        """Store events as recording does, and leave word of them."""
        attempt = str(uuid.uuid4())
        good = [event for event in events if not event["failed"]]
        self._insert("processed_events", [_processed(event, attempt) for event in good])
        self._insert("raw_events", [_raw(event, attempt) for event in events])
        self.client.command(
            "INSERT INTO touched (attempt_id, minutes, event_ids, events) SELECT attempt_id,"
            " groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))), [], count() FROM raw_events"
            " WHERE attempt_id = {attempt:UUID} GROUP BY attempt_id",
            parameters={"attempt": attempt},
        )

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        body = "\n".join(json.dumps(list(row.values())) for row in rows)
        self.client.raw_insert(table, list(rows[0]), body, fmt="JSONCompactEachRow")

    def ask(self, view: Any, name: str = "", **given: Any) -> Answer:
        params = {key: [str(value)] for key, value in given.items()}
        service = wiring.analytics_service()
        answer = answering(lambda request: view(service, request))(
            Request(params=params, path=f"/api/v1/{view.__name__}/{name}", path_params={"name": name})
        )
        assert answer.status == 200, answer.body
        return answer

    def odd(self, metric: str, **tags: str) -> dict[int, dict[str, Any]]:
        """The anomalies of a series by hour, as the API tells them."""
        found = json.loads(self.ask(views.anomalies, metric=metric, interval="1h", limit=1000).body)["anomalies"]
        wanted = {"environment": "live", **tags}
        return {_hour(one["timestamp"]): one for one in found if one["tags"] == wanted}


def _hour(timestamp: str) -> int:
    return (instants.from_text(timestamp) // 1_000_000_000 - START) // HOUR


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("quality")
    clickhouse, questdb = ClickHouse(folder / "data"), QuestDb(folder / "questdb")
    clickhouse.start()
    questdb.start()
    migrate(clickhouse.url, "quality")
    migrate_questdb(questdb.url)
    caches = (wiring.measure_settings, wiring.series_store, wiring.analytics_service)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIR_CLICKHOUSE_URL", clickhouse.url)
        patch.setenv("WEIR_CLICKHOUSE_DATABASE", "quality")
        patch.setenv("WEIR_QUESTDB_URL", questdb.url)
        patch.setenv("WEIR_QUESTDB_PG_PORT", str(questdb.pg_port))
        patch.setenv("WEIR_QUESTDB_RETRY_SECONDS", "0.2")
        patch.setenv("WEIR_ANOMALY_AGAIN_SECONDS", "0")
        for one in caches:
            one.cache_clear()
        client = clickhouse_connect.get_client(dsn=clickhouse.url, database="quality", autogenerate_session_id=False)
        yield Stack(clickhouse, questdb, client)
    for one in caches:
        one.cache_clear()
    clickhouse.stop()
    questdb.stop()


def event(chance: random.Random, hour: int, platform: str, **changed: Any) -> dict[str, Any]:
    name = chance.choice(("viewed", "viewed", "clicked", "bought"))
    skew = chance.gauss(0, 120)
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "at": (START + hour * HOUR) * 1_000_000_000 + chance.randrange(HOUR * 1_000_000_000),
        "platform": platform,
        "name": name,
        "amount": None if chance.random() < 0.02 else 9.5,
        "skew": int(skew),
        "failed": chance.random() < 0.01,
        "violates": False,
        **changed,
    }


def hour_of(chance: random.Random, hour: int) -> list[dict[str, Any]]:
    """An hour's events; a day is a wave."""
    wave = 1 + 0.4 * math.sin(2 * math.pi * (hour % 24) / 24)
    web = chance.gauss(60 * wave, 4) * {SPIKE: 4.0, DIP: 0.1}.get(hour, 1.0)
    found = [event(chance, hour, "web") for _ in range(round(web))]
    if hour < SILENT:
        found += [event(chance, hour, "ios") for _ in range(round(chance.gauss(25, 2)))]
    for one in found:
        # By its id, which costs no chance: the rest of the hour stays as it was.
        one["violates"] = one["event_id"] < "05"
        if MISSING <= hour < MISSING + 3 and chance.random() < 0.7:
            one["amount"] = None
        if SKEWED <= hour < SKEWED + 3 and chance.random() < 0.6:
            one["skew"] = 25_000
        if hour == VIOLATING and one["name"] == "clicked":
            one["violates"] = True
        if hour == FAILING and chance.random() < 0.5:
            one["failed"] = True
    return found


_TYPES = {"viewed": "page_view", "clicked": "click", "bought": "purchase"}


def _row(one: dict[str, Any], attempt: str) -> dict[str, Any]:
    return {
        "event_id": one["event_id"],
        "timestamp": str(one["at"]),
        "received_at": str(one["at"]),
        "processed_at": str(one["at"] + 5_000_000),
        "platform": one["platform"],
        "event_type": _TYPES[one["name"]],
        "event_name": one["name"],
        "session_id": ids.NIL,
        "anonymous_id": one["event_id"][:2],
        "properties_text": "{}" if one["amount"] is None else json.dumps({"amount": one["amount"]}),
        "key_id": "k1",
        "digest": one["event_id"],
        "batch_id": attempt,
        "attempt_id": attempt,
    }


def _processed(one: dict[str, Any], attempt: str) -> dict[str, Any]:
    skew = {"clock_skew_ms": one["skew"]}
    identity = f"a:{one['event_id'][:2]}"
    more = {"raw_event_id": one["event_id"], "identity": identity, "metrics_text": json.dumps(skew)}
    return {**_row(one, attempt), **more}


def _raw(one: dict[str, Any], attempt: str) -> dict[str, Any]:
    status = "failed" if one["failed"] else "processed"
    codes = ["schema_violation"] if one["violates"] else []
    return {**_row(one, attempt), "processing_status": status, "error_codes": codes}


@pytest.fixture(scope="module")
def traffic(stack: Stack) -> list[dict[str, Any]]:
    """Two weeks of it, measured: first what came before the last days, then these, in two ticks."""
    chance = random.Random(7)
    events = [one for hour in range(HOURS) for one in hour_of(chance, hour)]
    middle = (START + 200 * HOUR) * 1_000_000_000
    for part in ([one for one in events if one["at"] < middle], [one for one in events if one["at"] >= middle]):
        stack.put(part)
        done = stack.measure()
        assert done.state == "done", done
        assert done.counts["windows_judged"] > 100
    return events


@pytest.mark.usefixtures("traffic")
def test_each_fault_is_told_with_what_was_expected(stack: Stack) -> None:
    volume = stack.odd("quality.volume")
    spike = volume[SPIKE]
    assert spike["value"] > spike["upper"] > spike["expected"] > spike["lower"]
    assert (spike["severity"], spike["interval"]) == ("high", "1h")
    assert DIP in volume
    assert SPIKE in stack.odd("events", platform="web")
    assert SPIKE in stack.odd("quality.volume", event_name="viewed")
    missing = stack.odd("quality.null_share.amount")
    assert {MISSING, MISSING + 1} <= set(missing)
    assert 0.3 < missing[MISSING]["value"] <= 1
    skewed = stack.odd("quality.clock_skew_p95")
    assert skewed[SKEWED]["value"] == 25_000
    assert FAILING in stack.odd("failed_share")
    violating = stack.odd("quality.schema_violation_share", event_name="clicked")
    assert violating[VIOLATING]["value"] == 1.0
    assert VIOLATING in stack.odd("quality.schema_violation_share")
    assert VIOLATING not in stack.odd("quality.schema_violation_share", event_name="bought")


@pytest.mark.usefixtures("traffic")
def test_a_source_that_fell_silent_is_told_window_by_window(stack: Stack) -> None:
    silent = stack.odd("quality.volume", key_id="k1", platform="ios")
    assert {SILENT + n for n in range(6)} <= set(silent)
    assert {silent[SILENT + n]["value"] for n in range(6)} == {0.0}
    assert silent[SILENT + 5]["run_length"] == silent[SILENT]["run_length"] + 5
    assert silent[SILENT + 5]["severity"] == "high"


@pytest.mark.usefixtures("traffic")
def test_what_is_usual_is_no_anomaly(stack: Stack) -> None:
    calm = range(48, SPIKE)
    for metric in (
        "quality.volume",
        "failed_share",
        "quality.schema_violation_share",
        "quality.null_share.amount",
        "quality.clock_skew_p95",
    ):
        assert len([hour for hour in stack.odd(metric) if hour in calm]) <= 2, metric


@pytest.mark.usefixtures("traffic")
def test_quality_is_listed_and_answered_like_any_metric(stack: Stack) -> None:
    known = {one["name"]: one for one in json.loads(stack.ask(views.metrics).body)["metrics"]}
    assert known["quality.clock_skew_p95"]["unit"] == "ms"
    assert known["quality.volume"]["intervals"]["1h"] == [[], ["event_name"], ["key_id", "platform"]]
    between = {"from": START, "to": START + HOURS * HOUR, "interval": "1d"}
    between = {
        key: instants.to_text(value * 1_000_000_000) if key != "interval" else value for key, value in between.items()
    }
    by_name = json.loads(stack.ask(views.metric, "quality.volume", group_by="event_name", **between).body)["series"]
    assert {one["tags"]["event_name"] for one in by_name} == {"viewed", "clicked", "bought"}
    one_key = json.loads(stack.ask(views.metric, "quality.volume", group_by="key_id,platform", **between).body)[
        "series"
    ]
    assert {(one["tags"]["key_id"], one["tags"]["platform"]) for one in one_key} == {("k1", "web"), ("k1", "ios")}


def test_a_late_lot_is_told_at_once_and_answers_are_kept_in_between(
    stack: Stack, traffic: list[dict[str, Any]]
) -> None:
    first = stack.ask(views.anomalies, metric="quality.volume", limit=77)
    again = stack.ask(views.anomalies, metric="quality.volume", limit=77)
    assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("MISS", "HIT")
    assert DIP in stack.odd("quality.volume")
    chance = random.Random(8)
    wave = 1 + 0.4 * math.sin(2 * math.pi * (DIP % 24) / 24)
    late = [event(chance, DIP, "web") for _ in range(round(54 * wave))]
    stack.put(late)
    stack.questdb.kill()
    away = stack.measure()
    assert away.state == "unfinished"
    stack.questdb.start()
    assert stack.measure().state == "done"
    assert DIP not in stack.odd("quality.volume")
    new = stack.ask(views.anomalies, metric="quality.volume", limit=77)
    assert new.headers["X-Cache"] == "MISS"


def test_judging_all_at_once_says_what_the_ticks_said(stack: Stack, traffic: list[dict[str, Any]]) -> None:
    sql = (
        "SELECT ts, metric_name, interval, tags, value, expected, lower, upper, score, severity, run_length, is_anomaly"
        " FROM anomalies WHERE state = 'live'"
    )
    told = set(wiring.series_store().query(sql))
    wiring.series_store().query("TRUNCATE TABLE anomalies")
    stack.client.command("TRUNCATE TABLE judged")
    assert stack.measure().counts["windows_judged"] == len(told)
    assert set(wiring.series_store().query(sql)) == told
