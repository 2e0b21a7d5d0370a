"""Dead letters become rows, and replays bring them and what failed again: through the whole pipe, on the real store."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.measure.erasing import replay_requests
from functions.measure.erasing.replay_requests import ReplayRequests
from functions.measure.replays import listing, runner
from functions.measure.replays.request import Request
from functions.measure.replays.tidying import tidy
from functions.shared.domain import ids, visitors
from functions.shared.domain.places import Place
from functions.shared.domain.privacy import Redactor, parse
from functions.shared.domain.suppression import EARLIEST, LATEST, Entry, Position, Suppression, subject
from functions.shared.errors import QueueUnavailable, StoreUnavailable
from functions.shared.ports import Depth, Message
from functions.shared.settings import StoreSettings
from schemas import patch
from tests.support.batches import Died
from tests.support.clickhouse import ClickHouse
from tests.support.replays import NOW, Pipe, event, poisoned
from tests.unit.enrich.test_visitors import Salts

pytestmark = pytest.mark.engines

MEND = '[{"op":"drop","path":"properties.poison"}]'
WEB = '[{"op":"set","path":"platform","value":"web"}]'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path_factory.mktemp("replays") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pipe(engine: ClickHouse) -> Pipe:
    return Pipe(engine.url)


def test_what_was_given_up_becomes_rows_that_say_why_and_the_broker_lets_it_go(pipe: Pipe) -> None:
    batch_id = pipe.send([poisoned(1), event(2), b'{"not":"whole"'], ids={2: event(3)["event_id"]})
    pipe.enrich()
    assert (pipe.collect(), pipe.collect(), pipe.queue.depth().dead) == (3, 0, 0)
    found = pipe.letters()
    assert {(one["batch_id"], one["batch_index"], one["state"]) for one in found} == {
        (batch_id, place, "dead") for place in range(3)
    }
    poison = next(one for one in found if one["batch_index"] == 0)
    assert json.loads(poison["raw_data"]) == poisoned(1)
    assert (poison["event_id"], poison["stage"], poison["attempts"]) == (poisoned(1)["event_id"], "enrich", 2)
    assert (poison["cause"], poison["key_id"], poison["event_name"]) == ("RuntimeError", "k", "n1")
    assert next(one for one in found if one["batch_index"] == 2)["raw_data"] == '{"not":"whole"'
    assert listing.standing(pipe.database) == {"dead": 3, "replaying": 0, "failed": 0, "resolved": 0}
    assert listing.with_letters(Depth(4, 2, 1), pipe.database) == Depth(4, 2, 4)


def test_what_is_collected_twice_is_there_once(pipe: Pipe) -> None:
    pipe.send([poisoned(1), event(2)])
    pipe.enrich()
    letters = list(pipe.box.take(10))
    pipe.collect()
    pipe.queue.dead_letters += [one.handle for one in letters]  # type: ignore[attr-defined]
    assert pipe.collect() == 2
    assert [(one["attempts"], one["deaths"]) for one in pipe.letters()] == [(2, 1)] * 2


def test_a_message_stays_with_the_broker_while_the_store_takes_no_rows(pipe: Pipe) -> None:
    pipe.send([poisoned(1)])
    pipe.enrich()
    from functions.shared.adapters.clickhouse_batch import ClickHouseBatch

    with pytest.raises(StoreUnavailable):
        pipe.collect(ClickHouseBatch(StoreSettings(clickhouse_url="http://127.0.0.1:9"), 2))
    assert pipe.queue.depth().dead == 1
    assert pipe.collect() == 1


def test_a_message_that_nobody_can_read_is_a_row_with_all_its_bytes(pipe: Pipe) -> None:
    from functions.shared.adapters.memory_queue import DeadLetter

    letters = pipe.queue.dead_letters  # type: ignore[attr-defined]
    for body in (b"\xff\x00 no envelope", b'{"v":99,"batch_id":"b"}'):
        letters.append(DeadLetter("m", body, 3, "odd", NOW, NOW))
    assert pipe.collect() == 1
    assert pipe.queue.depth().dead == 1, "what a newer release wrote is left to it"
    [one] = pipe.letters()
    assert (one["raw_data"], one["raw_encoding"], one["readable"]) == ("/wAgbm8gZW52ZWxvcGU=", "base64", False)
    replay_id = pipe.replay("dead")
    assert pipe.service.get(replay_id)["failed_again"] == 1
    [row] = pipe.raw().values()
    assert (row["processing_status"], row["raw_data"], row["error_codes"]) == (
        "failed",
        one["raw_data"],
        ["malformed_json"],
    )


def test_rows_of_dead_letters_hold_no_more_than_may_be_stored(engine: ClickHouse) -> None:
    pipe = Pipe(engine.url, redactor=Redactor("truncated", parse("properties.email=drop")))
    pipe.send([event(1, properties={"poison": 1, "email": "a@b.c"}, context={"ip": "81.2.69.160"})])
    pipe.enrich()
    pipe.collect()
    [row] = pipe.rows("SELECT * FROM dead_letters")
    assert "a@b.c" not in str(row)
    assert "69.160" not in str(row)
    pipe.replay("dead", MEND)
    [raw] = pipe.raw().values()
    assert (raw["processing_status"], raw["digest"]) == ("processed", row["digest"])


DAY = 86_400_000_000_000


def test_what_was_resolved_goes_when_it_is_old_and_what_was_not_never_does(pipe: Pipe) -> None:
    pipe.send([poisoned(1), event(2)])
    pipe.enrich()
    pipe.collect()
    pipe.replay("dead", MEND, event_names=("n1",))
    assert {one["event_id"]: one["state"] for one in pipe.letters(*listing.STATES)} == {
        event(1)["event_id"]: "resolved", event(2)["event_id"]: "dead",
    }  # fmt: skip
    later = time.time_ns() + DAY
    assert (tidy(pipe.database, 2, later), tidy(pipe.database, 0, later + 999 * DAY)) == (0, 0)
    assert (tidy(pipe.database, 1, later), tidy(pipe.database, 1, later + 999 * DAY)) == (1, 0)
    assert [one["event_id"] for one in pipe.letters(*listing.STATES)] == [event(2)["event_id"]]
    assert listing.standing(pipe.database) == {"dead": 1, "replaying": 0, "failed": 0, "resolved": 0}


@pytest.mark.parametrize("alive", range(4))
def test_whoever_dies_while_old_letters_go_leaves_none_that_seems_dead_again(pipe: Pipe, alive: int) -> None:
    pipe.send([poisoned(1)])
    pipe.enrich()
    pipe.collect()
    pipe.replay("dead", MEND)
    left = iter([pipe.database.run] * alive)

    class Dying:
        rows, text = pipe.database.rows, pipe.database.text

        def run(self, sql: str, parameters: Any) -> None:
            next(left)(sql, parameters)

    later = time.time_ns() + 2 * DAY
    with contextlib.suppress(StopIteration):
        tidy(Dying(), 1, later)
    assert listing.standing(pipe.database)["dead"] == 0
    tidy(pipe.database, 1, later)
    assert listing.standing(pipe.database) == dict.fromkeys(listing.STATES, 0)
    assert pipe.letters(*listing.STATES) == []


def of_ada(number: int) -> dict[str, Any]:
    return {**poisoned(number), "user_id": "ada"}


ADA = Entry("user", subject("user", ids.user("ada")), Position(EARLIEST), Position(LATEST))


def refuse_ada(pipe: Pipe) -> None:
    pipe.client.insert(
        "suppressions",
        [[*ADA[:2], *ADA.since, *ADA.until, str(uuid.uuid4())]],
        ["kind", "subject", "since", "since_id", "until", "until_id", "erasure_id"],
    )


def dead(pipe: Pipe) -> set[str]:
    return {one["event_id"] for one in pipe.letters()}


def erased(pipe: Pipe) -> list[int]:
    rows = pipe.client.query("SELECT DISTINCT arrayJoin(erased) FROM ledger WHERE kind = 'outcome'").result_rows
    return sorted(row[0] for row in rows)


def test_what_was_given_up_after_an_erasure_is_refused_and_accounted_for(pipe: Pipe) -> None:
    # The ledger keeps thirty days.
    pipe.send([poisoned(1), of_ada(2), {**of_ada(3), "platform": 7}], time.time_ns())
    pipe.enrich()
    refuse_ada(pipe)
    assert pipe.collect() == 3
    assert dead(pipe) == {poisoned(1)["event_id"]}
    assert (erased(pipe), pipe.queue.depth().dead) == ([1, 2], 0)


def test_who_is_erased_while_letters_are_written_is_in_none(pipe: Pipe) -> None:
    pipe.send([poisoned(1), of_ada(2)], time.time_ns())
    pipe.enrich()
    moments = iter([Suppression(), Suppression([ADA])])
    pipe.suppressed = lambda: next(moments)
    pipe.collect()
    assert dead(pipe) == {poisoned(1)["event_id"]}
    assert erased(pipe) == [1]


def test_whoever_died_between_the_letters_and_the_second_look_is_cleaned_up_after(pipe: Pipe) -> None:
    pipe.send([poisoned(1), of_ada(2)])
    pipe.enrich()
    letters = list(pipe.box.take(10))
    pipe.collect()
    assert len(dead(pipe)) == 2
    pipe.queue.dead_letters += [one.handle for one in letters]  # type: ignore[attr-defined]
    refuse_ada(pipe)
    pipe.collect()
    assert dead(pipe) == {poisoned(1)["event_id"]}


def test_while_nobody_can_tell_who_is_refused_the_broker_keeps_them(pipe: Pipe) -> None:
    pipe.send([of_ada(1)])
    pipe.enrich()

    def away() -> Suppression:
        raise StoreUnavailable("away", 1)

    pipe.suppressed = away
    with pytest.raises(StoreUnavailable):
        pipe.collect()
    assert (dead(pipe), pipe.queue.depth().dead) == (set(), 1)


def test_a_poison_event_is_mended_by_a_patch_and_leaves_the_dead_letters(pipe: Pipe) -> None:
    pipe.send([poisoned(1), event(2)])
    pipe.enrich()
    pipe.collect()
    assert pipe.raw() == {}
    told = pipe.service.get(pipe.replay("dead", MEND))
    assert (told["state"], told["matched"], told["sent"], told["stored"], told["failed_again"]) == ("done", 2, 2, 2, 0)
    row = pipe.raw()[poisoned(1)["event_id"]]
    assert json.loads(row["raw_data"]) == poisoned(1), "what was sent stays as it was"
    assert (json.loads(row["properties_text"]), row["flags"]) == ({"plan": "pro"}, ["replayed", "patched"])
    assert pipe.letters() == []
    assert [one["replay_id"] for one in pipe.letters("resolved")] == [told["replay_id"]] * 2


def test_what_dies_again_counts_its_tries_and_in_the_end_stands_alone(pipe: Pipe) -> None:
    pipe.send([poisoned(1), *(event(number) for number in range(2, 31))])
    pipe.enrich()
    pipe.collect()
    deaths = []
    for _ in range(5):
        pipe.replay("dead")
        deaths.append(len(pipe.letters()))
    assert deaths == [30, 30, 10, 1, 1]
    [one] = pipe.letters()
    assert (one["event_id"], one["attempts"], one["deaths"]) == (poisoned(1)["event_id"], 12, 6)
    assert len(pipe.raw()) == 29


def test_what_fails_again_says_why_and_may_be_replayed_once_more(pipe: Pipe) -> None:
    pipe.send([poisoned(1)])
    pipe.enrich()
    pipe.collect()
    spoil = MEND[:-1] + ',{"op":"set","path":"platform","value":""}]'
    told = pipe.service.get(pipe.replay("dead", spoil))
    assert (told["state"], told["stored"], told["failed_again"]) == ("done", 0, 1)
    [one] = pipe.letters()
    assert (one["state"], json.loads(one["cause"])[0]["code"], one["attempts"]) == ("failed", "too_short", 3)
    [row] = pipe.raw().values()
    assert row["processing_status"] == "failed"
    assert pipe.service.get(pipe.replay("dead", MEND))["stored"] == 1
    assert pipe.letters() == []


def test_failed_events_are_replaced_by_good_ones_whichever_batch_they_came_in(pipe: Pipe) -> None:
    for number in range(30):
        pipe.send([event(2 * number), event(2 * number + 1, platform="")], received_at=NOW + number)
    pipe.enrich()
    bad = [row for row in pipe.raw().values() if row["processing_status"] == "failed"]
    told = pipe.service.get(pipe.replay("failed", WEB, cause="too_short", event_names=["n1"]))
    assert (told["matched"], told["stored"]) == (10, 10)
    pipe.replay("failed", WEB)
    after = pipe.raw()
    assert {row["processing_status"] for row in after.values()} == {"processed"}
    for row in bad:
        same = ("batch_id", "batch_index", "received_at", "digest", "raw_data", "key_id", "request_ip")
        assert [after[row["id"]][name] for name in same] == [row[name] for name in same]
    assert pipe.rows("SELECT count() AS n FROM processed_events") == [{"n": 60}]


def test_run_twice_it_has_the_same_result(pipe: Pipe) -> None:
    pipe.send([event(number, platform="") for number in range(5)])
    pipe.enrich()
    pipe.replay("failed", WEB)
    before = pipe.raw()
    assert pipe.service.get(pipe.replay("failed", WEB))["matched"] == 0
    told = pipe.service.get(pipe.replay("failed", WEB, event_ids=[event(0)["event_id"]]))
    assert (told["state"], told["sent"]) == ("done", 0)
    assert pipe.raw() == before


@pytest.mark.parametrize("source", ["dead", "failed"])
@pytest.mark.parametrize("dies", ["in hand", "publish", "note"])
def test_whoever_dies_on_the_way_is_followed_by_another_who_ends_it(
    engine: ClickHouse, monkeypatch: pytest.MonkeyPatch, source: str, dies: str
) -> None:
    pipe = Pipe(engine.url)
    monkeypatch.setattr(runner, "EVENTS_A_PAGE", 4)
    bad = {"properties": {"poison": 1}} if source == "dead" else {"platform": ""}
    pipe.send([event(number, **bad) for number in range(11)])
    pipe.enrich()
    pipe.collect()
    operations = MEND if source == "dead" else WEB
    one = pipe.service.create(_request(source, operations))
    dying = pipe.runner(seconds=0.5)
    # The second page: a page is noted twice.
    left = {"steps": 4 if dies == "note" else 2}

    def dead(*_: object, **__: object) -> None:
        left["steps"] -= 1
        if left["steps"] == 0:
            raise Died

    def then(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[..., Any]:
        def both(*given: Any) -> Any:
            found = first(*given)
            return second(*given) or found

        return both

    if dies == "note":
        monkeypatch.setattr(dying._book, "note", then(dead, dying._book.note))
    elif dies == "publish":
        monkeypatch.setattr(dying, "_publish", then(dying._publish, dead))
    else:
        monkeypatch.setattr(dying, "_send", then(dead, dying._send))
    with pytest.raises(Died):
        dying.run(lambda: True, one["replay_id"])
    pipe.enrich()
    deadline = time.monotonic() + 30
    while pipe.runner().run(lambda: True, one["replay_id"]).get("busy"):
        assert time.monotonic() < deadline
    told = pipe.go_on(one["replay_id"])
    assert (told["state"], told["stored"], told["in_flight"]) == ("done", 11, 0)
    assert {row["processing_status"] for row in pipe.raw().values()} == {"processed"}
    assert pipe.rows("SELECT count() AS n FROM processed_events") == [{"n": 11}]
    assert pipe.letters() == []


def test_it_stops_and_goes_on_from_where_it_was(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "EVENTS_A_PAGE", 4)
    pipe.send([event(number, platform="") for number in range(10)])
    pipe.enrich()
    replay_id = pipe.service.create(_request("failed", WEB))["replay_id"]
    steps = iter([True, False])
    told = pipe.go_on(replay_id, lambda: next(steps, False))
    assert (told["state"], told["sent"], told["stored"], told["remaining"]) == ("running", 4, 4, 6)
    assert pipe.service.stop(replay_id)["state"] == "stopped"
    assert pipe.go_on(replay_id)["sent"] == 4
    assert pipe.service.resume(replay_id)["state"] == "running"
    told = pipe.go_on(replay_id)
    assert (told["state"], told["sent"], told["stored"], told["remaining"]) == ("done", 10, 10, 0)


def find_no_queue(pipe: Pipe, replay_id: str) -> None:
    """A run of a replay while the queue is away: what it was about to send is in hand."""
    pipe.queue.available = False  # type: ignore[attr-defined]
    with pytest.raises(QueueUnavailable):
        pipe.runner().run(lambda: True, replay_id)
    pipe.queue.available = True  # type: ignore[attr-defined]


def test_a_queue_that_is_away_leaves_it_where_it_was(pipe: Pipe) -> None:
    pipe.send([event(1, platform="")])
    pipe.enrich()
    replay_id = pipe.service.create(_request("failed", WEB))["replay_id"]
    find_no_queue(pipe, replay_id)
    assert pipe.go_on(replay_id)["state"] == "done"


HERS = '[{"op":"drop","path":"properties.poison"},{"op":"set","path":"user_id","value":"ann"}]'


def test_a_replay_that_an_erasure_ends_half_way_cannot_go_on_and_leaves_its_letters_to_another_one(pipe: Pipe) -> None:
    pipe.send([poisoned(number) for number in range(3)])
    pipe.enrich()
    pipe.collect()
    replay_id = pipe.service.create(_request("dead", HERS))["replay_id"]
    find_no_queue(pipe, replay_id)
    assert listing.standing(pipe.database)["replaying"] == 3
    erasing = ReplayRequests(pipe.database, pipe.book, lambda: pipe.lease(30))
    for _ in range(2):
        erasing.forget([replay_id])
    assert "ann" not in str(pipe.rows("SELECT * FROM replays"))
    pipe.service.resume(replay_id)
    assert (pipe.go_on(replay_id)["state"], pipe.service.get(replay_id)["sent"], pipe.raw()) == ("done", 0, {})
    assert pipe.service.get(pipe.replay("dead", MEND))["stored"] == 3


def test_whoever_is_at_work_on_replays_is_waited_for_before_what_was_asked_is_forgotten(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_requests, "_WAIT_SECONDS", 0.3)
    replay_id = pipe.service.create(_request("dead", HERS))["replay_id"]
    at_work = pipe.lease(30)
    assert at_work.acquire(10)
    asked = ReplayRequests(pipe.database, pipe.book, lambda: pipe.lease(30))
    with pytest.raises(StoreUnavailable, match="at work"):
        asked.forget([replay_id])
    # It sees by this that it is to come to a stop.
    assert pipe.book.get(replay_id).stopped
    assert pipe.book.get(replay_id).request.patch
    at_work.release()
    asked.forget([replay_id])
    assert not pipe.book.get(replay_id).request.patch
    assert pipe.book.get(replay_id).progress.ended


def test_a_dry_run_writes_nothing_and_says_what_would_become_of_each(pipe: Pipe) -> None:
    pipe.send([event(1, platform=""), event(2, platform="", event_type=7), b"no json"], ids={2: event(3)["event_id"]})
    pipe.enrich()
    told = pipe.service.preview(_request("failed", WEB))
    assert (told["matched"], pipe.service.page(10).replays) == (3, [])
    sample = {one["event_id"]: one for one in told["sample"]}
    good, bad, none = (sample[event(number)["event_id"]] for number in (1, 2, 3))
    assert (good["would"], good["changed"], json.loads(good["after"])["platform"]) == ("be stored", True, "web")
    assert (bad["would"], bad["errors"][0]["loc"]) == ("fail", ["event_type"])
    assert (none["would"], none["errors"][0]["code"], none["before"]) == ("fail", "patch_refused", "no json")


class Atlas:
    def __init__(self, country: str) -> None:
        self.country = country

    def find(self, _ip: str) -> Place:
        return Place(country=self.country)


def test_stored_events_are_enriched_anew_over_a_range_and_keep_all_else(engine: ClickHouse) -> None:
    pipe = Pipe(engine.url, geo=Atlas("GB"))
    events = [event(number, timestamp=f"2026-01-0{number}T00:00:00Z") for number in range(1, 5)]
    later = NOW + 10 * 86_400 * 10**9
    pipe.send(events, received_at=later)
    pipe.enrich()
    before = pipe.raw()
    pipe.geo = Atlas("FR")
    day = 86_400 * 10**9
    told = pipe.service.get(pipe.replay("stored", since=NOW + day, until=NOW + 3 * day))
    pipe.send(events, received_at=later + 9)
    pipe.enrich()
    assert (told["matched"], told["stored"]) == (2, 2)
    rows = pipe.rows("SELECT geo_country AS country FROM processed_events ORDER BY timestamp")
    assert [row["country"] for row in rows] == ["GB", "FR", "FR", "GB"]
    after = pipe.raw()
    for name in ("raw_data", "received_at", "timestamp", "batch_id", "digest", "request_user_agent"):
        assert {key: row[name] for key, row in after.items()} == {key: row[name] for key, row in before.items()}


def test_a_visitor_of_a_day_whose_salt_is_gone_keeps_the_id_when_enriched_anew(pipe: Pipe) -> None:
    pipe.salts = Salts()
    pipe.send([event(1, timestamp="2026-01-01T00:00:00Z")])
    pipe.enrich()
    [given] = pipe.rows("SELECT anonymous_id FROM processed_events")
    assert given["anonymous_id"].startswith("day:")
    pipe.salts.gone = {visitors.day(NOW)}
    assert pipe.service.get(pipe.replay("stored", event_ids=[event(1)["event_id"]]))["stored"] == 1
    assert pipe.rows("SELECT anonymous_id FROM processed_events") == [given]
    assert pipe.rows("SELECT generation > 0 AS again FROM processed_events") == [{"again": 1}]


def test_a_visitor_of_a_day_keeps_the_id_through_a_death_of_the_new_enrichment(pipe: Pipe) -> None:
    pipe.salts = Salts()
    pipe.send([event(1, timestamp="2026-01-01T00:00:00Z")])
    pipe.enrich()
    [given] = pipe.rows("SELECT anonymous_id FROM processed_events")
    pipe.salts.gone = {visitors.day(NOW)}
    pipe.replay("stored", '[{"op":"set","path":"properties.poison","value":1}]', event_ids=[event(1)["event_id"]])
    assert pipe.rows("SELECT anonymous_id FROM dead_letters FINAL") == [given]
    assert pipe.service.get(pipe.replay("dead", MEND))["stored"] == 1
    assert pipe.rows("SELECT anonymous_id FROM processed_events") == [given]


@pytest.mark.parametrize("enriched_by", [Redactor(), Redactor(mode="anonymise")])
def test_who_was_stored_as_nobody_stays_nobody_where_the_bytes_do_not_say_it(pipe: Pipe, enriched_by: Redactor) -> None:
    """Rows of before the browser's signal was written into a context that is null."""
    pipe.redactor = Redactor(mode="anonymise")
    pipe.send([event(1, timestamp="2026-01-01T00:00:00Z", context=None)], signal="gpc")
    pipe.enrich()
    said = json.dumps(event(1, timestamp="2026-01-01T00:00:00Z", context=None))
    pipe.client.command(
        "ALTER TABLE raw_events UPDATE raw_data = {said:String} WHERE 1", {"said": said}, settings={"mutations_sync": 2}
    )
    [before] = pipe.raw().values()
    assert before["flags"] == ["anonymised"]
    pipe.redactor = enriched_by
    which = [event(1)["event_id"]]
    # By way of a dead letter, which knows no more than the bytes.
    pipe.replay("stored", '[{"op":"set","path":"properties.poison","value":1}]', event_ids=which)
    assert pipe.service.get(pipe.replay("dead", MEND))["stored"] == 1
    for _ in range(2):
        [row] = pipe.rows("SELECT identity, anonymous_id, flags FROM processed_events")
        assert (row["identity"], row["anonymous_id"], "anonymised" in row["flags"]) == ("", "", True)
        assert pipe.service.get(pipe.replay("stored", event_ids=which))["stored"] == 1
    [after] = pipe.raw().values()
    assert (after["digest"], after["batch_id"]) == (before["digest"], before["batch_id"])


def test_a_patch_that_made_an_event_good_stays_when_it_is_enriched_anew(pipe: Pipe) -> None:
    pipe.send([event(1, platform="", timestamp="2026-01-01T00:00:00Z")])
    pipe.enrich()
    pipe.replay("failed", WEB)
    told = pipe.service.get(pipe.replay("stored", event_ids=[event(1)["event_id"]]))
    assert told["stored"] == 1
    [row] = pipe.raw().values()
    assert (row["platform"], row["flags"], json.loads(row["patch"])) == (
        "web",
        ["replayed", "patched"],
        json.loads(WEB),
    )


def test_killed_in_the_middle_the_store_comes_back_and_the_replay_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ClickHouse(tmp_path / "data")
    server.start()
    try:
        monkeypatch.setattr(runner, "EVENTS_A_PAGE", 4)
        pipe = Pipe(server.url)
        pipe.send([poisoned(number) for number in range(10)])
        pipe.enrich()
        pipe.collect()
        replay_id = pipe.service.create(_request("dead", MEND))["replay_id"]
        dying = pipe.runner(seconds=1.0)
        publish = dying._publish

        def published(call: list[Message]) -> None:
            publish(call)
            server.kill()

        monkeypatch.setattr(dying, "_publish", published)
        with pytest.raises(StoreUnavailable):
            dying.run(lambda: True, replay_id)
        server.start()
        pipe.enrich()
        deadline = time.monotonic() + 30
        while pipe.runner().run(lambda: True, replay_id).get("busy"):
            assert time.monotonic() < deadline
        told = pipe.go_on(replay_id)
        assert (told["state"], told["stored"]) == ("done", 10)
        assert len(pipe.raw()) == 10
        assert pipe.letters() == []
    finally:
        server.stop()


def _request(source: str, operations: str) -> Request:

    return Request(source, patch=patch.read(operations))  # type: ignore[arg-type]
