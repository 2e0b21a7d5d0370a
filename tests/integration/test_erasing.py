"""A person is erased, from both stores and their disks; all others stay as in a world without the person."""

import random
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from functions.measure.erasing.erasures import Erasure
from functions.measure.identities import Identities
from functions.measure.lease import Lease, LeaseLostMeanwhile
from functions.measure.replays.request import Filter, Request
from functions.measure.service import MeasureService
from functions.shared import wiring
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.domain import ids
from functions.shared.errors import StoreUnavailable
from schemas import patch
from schemas.rows import Delivery
from tests.integration.test_whole_batches import ARRIVALS, event
from tests.support.batches import Died
from tests.support.deliveries import NOW, delivery
from tests.support.polling import until
from tests.support.reference_sessions import sessions
from tests.support.whole import Whole, counted, running
from tests.unit.enrich.test_service import message

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_AT_ONCE = "old_parts_lifetime = 0, cleanup_delay_period = 1, max_cleanup_delay_period = 1"
ADA, DEVICE = "ada.lovelace@example.com", "ada-tablet-0042"


@pytest.fixture(scope="module")
def module_whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with running(tmp_path_factory.mktemp("erasing")) as whole:
        wiring.erasures.cache_clear()
        # As fast as it can be: what is waited for is the same.
        tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        for row in whole.batches.rows(tables):
            whole.batches.client.command(f"ALTER TABLE {row['name']} MODIFY SETTING {_AT_ONCE}")
        yield whole
        wiring.erasures.cache_clear()


@pytest.fixture
def whole(module_whole: Whole) -> Whole:
    module_whole.clear()
    return module_whole


def erase(user: str, anonymous_ids: tuple[str, ...] = ()) -> dict[str, Any]:
    erasures = wiring.erasures()
    done = wiring.eraser(600, 60).carry_out(erasures.ask(user, anonymous_ids))
    return erasures.receipt(done)


def places(receipt: dict[str, Any], when: str) -> dict[str, int]:
    return {one["place"]: one[when] for one in receipt["places"]}


def numbered(whole: Whole, *visitors: str) -> list[str]:
    """Those of the visitors that have a number."""
    sql = "SELECT visitor_hash IN (SELECT visitor_hash FROM visitor_numbers) AS known FROM"
    hashed = "(SELECT cityHash64({visitor:String}) AS visitor_hash)"
    known = [whole.batches.client.command(f"{sql} {hashed}", parameters={"visitor": one}) for one in visitors]
    return [one for one, is_known in zip(visitors, known, strict=True) if int(is_known)]


def of(user: str, arrivals: list[Delivery], merges: tuple[tuple[str, str], ...] = ()) -> set[str]:
    """The events of a user, as the plain computation of sessions has it."""
    visitor = f"u:{ids.named('user', user)}"
    valid, _ = counted(arrivals)
    return {row.event_id for one in sessions(valid, merges) if one.visitor == visitor for row in one.events}


def without(arrivals: list[Delivery], gone: set[str]) -> list[Delivery]:
    return [one for one in arrivals if one.raw.event_id not in gone]


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_the_rest_is_as_if_the_person_had_never_been(whole: Whole, user: str) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    gone = of(user, ARRIVALS)
    receipt = erase(user)
    assert receipt["state"] == "done"
    assert set(places(receipt, "after").values()) == {0}
    before = places(receipt, "before")
    assert before["processed_events"] == len(gone) > 0
    assert min(before[place] for place in ("session_event_rows", "session_rows", "questdb sessions")) > 0
    whole.check(without(ARRIVALS, gone))
    again = places(erase(user), "before")
    assert set(again.values()) == {0}


def test_what_was_never_measured_and_what_is_older_than_any_horizon_goes_too(whole: Whole) -> None:
    chance = random.Random(3)
    old = [event(chance, NOW - n * 40 * DAY, user_ref="ann", anonymous_id=f"d{n % 2}") for n in range(6)]
    old += [event(chance, NOW - n * 40 * DAY + SECOND, anonymous_id="d0") for n in range(6)]
    old += [event(chance, NOW - n * 40 * DAY + SECOND, user_ref="bob", anonymous_id="d0") for n in range(1, 4)]
    whole.batches.record(old + ARRIVALS[:20])
    whole.measure()
    fresh = [event(chance, NOW - 3 * DAY + n, user_ref="ann") for n in range(3)]
    whole.batches.record(fresh)
    arrivals = old + ARRIVALS[:20] + fresh
    gone = of("ann", arrivals)
    erase("ann")
    whole.check(without(arrivals, gone))


def test_whoever_operators_said_is_the_same_goes_as_well(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    identities = Identities(ClickHouseBatch(whole.batches.settings), time.time_ns)
    identities.merge("u:ann", "u:eve")
    whole.measure()
    gone = of("ann", ARRIVALS) | of("eve", ARRIVALS)
    assert wiring.eraser(600, 60).preview("ann")["visitor_merges"] == 1
    receipt = erase("ann")
    assert places(receipt, "before")["visitor_merges"] == 1
    whole.check(without(ARRIVALS, gone))
    assert identities.list() == []


def test_a_first_session_goes_where_the_other_environment_still_knows_the_device(whole: Whole) -> None:
    chance = random.Random(1)
    tried = event(chance, NOW, anonymous_id="shared", key_id="test", is_bot=False)
    mine = event(chance, NOW, anonymous_id="shared", key_id="live", is_bot=False)
    whole.batches.record([tried, mine])
    whole.measure()
    login = event(chance, NOW + SECOND, anonymous_id="shared", user_ref="ann", key_id="live", is_bot=False)
    whole.batches.record([login])
    whole.measure()
    erase("ann")
    firsts = whole.batches.rows("SELECT DISTINCT environment FROM visitor_first_rows WHERE visitor = 'a:shared'")
    assert [one["environment"] for one in firsts] == ["test"]
    assert numbered(whole, "a:shared", f"u:{ids.named('user', 'ann')}") == ["a:shared"]
    whole.check([tried])


def test_a_device_may_be_named_that_nobody_logged_in_from(whole: Whole) -> None:
    chance = random.Random(1)
    alone = [event(chance, NOW + n * SECOND, anonymous_id="lonely") for n in range(3)]
    other = event(chance, NOW, anonymous_id="other")
    failed = [
        delivery(failed=True, raw_data=f'{{"anonymous_id":"{name}"}}', key_id="live", received_at=NOW)
        for name in ("lonely", "other")
    ]
    whole.batches.record([*alone, other, *failed])
    for one in failed:
        whole.batches.client.command(
            "INSERT INTO dead_letters (received_at, batch_id, event_id, raw_data) SELECT"
            f" fromUnixTimestamp64Nano(toInt64({NOW}), 'UTC'), generateUUIDv4(), generateUUIDv4(), {{data:String}}",
            parameters={"data": one.raw.raw_data},
        )
    whole.measure()
    before = places(erase("nobody-known", ("lonely",)), "before")
    assert (before["raw_events"], before["dead_letters"], before["visitor_numbers"]) == (4, 1, 1)
    assert numbered(whole, "a:lonely", "a:other") == ["a:other"]
    whole.check([other, failed[1]])


def test_who_lost_the_turn_while_sessions_were_written_over_has_them_told_once_more(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = event(random.Random(1), NOW, anonymous_id="lonely", is_bot=False)
    other = event(random.Random(2), NOW, anonymous_id="other", is_bot=False)
    whole.batches.record([alone, other])
    whole.measure()
    lost = [True]

    @contextmanager
    def writing(lease: Lease) -> Iterator[None]:
        yield
        if lost:
            lost.clear()
            raise LeaseLostMeanwhile("Another one runs the batches now.")

    erasure = wiring.erasures().ask("nobody-known", ("lonely",))
    doubts = "SELECT series FROM export_doubts"
    # The batches that the eraser runs write, too; so from its last step on.
    run = MeasureService.run

    def run_and_lose(*given: Any) -> Any:
        done = run(*given)
        monkeypatch.setattr(Lease, "writing", writing)
        return done

    monkeypatch.setattr(MeasureService, "run", run_and_lose)
    with pytest.raises(LeaseLostMeanwhile):
        wiring.eraser(600, 60).carry_out(erasure)
    monkeypatch.undo()
    assert whole.batches.rows(doubts) == [{"series": "sessions"}]
    done = wiring.eraser(600, 60).carry_out(wiring.erasures().get(erasure.erasure_id))
    assert done.state == "done"
    whole.measure()
    assert whole.batches.rows(doubts) == []
    whole.check([other])


def test_events_that_failed_are_found_by_their_bytes(whole: Whole) -> None:
    now = time.time_ns()  # the ledger forgets

    def failed(raw_data: str, encoding: str = "") -> Delivery:
        return delivery(failed=True, raw_data=raw_data, raw_encoding=encoding, key_id="live", received_at=now)

    import base64

    gone = [
        failed(f'{{"user_id":"{ADA}"}}'),
        failed(f'{{"user_id":"{ids.named("user", ADA).upper()}"}}'),
        failed(f'{{"anonymous_id":"{DEVICE}"}}'),
        failed(f'{{"user_id":"{ADA}","n":NaN}}'),
        failed(f'{{"user_id":"{ADA}"'),
        failed(base64.b64encode(f'{{"user_id":"{ADA}"\xff'.encode("latin-1")).decode(), "base64"),
    ]
    stay = [
        failed('{"user_id":"bob@example.com"}'),
        failed(f'{{"user_id":"bob@example.com","anonymous_id":"{DEVICE}"}}'),
        failed("{"),
        failed("/w==", "base64"),
    ]
    valid = delivery(user_ref=ADA, anonymous_id=DEVICE, received_at=now)
    whole.batches.record([*gone, *stay, valid])
    for raw_data in (f'{{"user_id":"{ADA}"}}', '{"user_id":"bob"}', "{", f'{{"user_id":"{ADA}"'):
        whole.batches.client.command(
            "INSERT INTO dead_letters (received_at, batch_id, event_id, raw_data)"
            " SELECT now64(9), generateUUIDv4(), generateUUIDv4(), {data:String}",
            parameters={"data": raw_data},
        )
    receipt = erase(ADA)
    assert places(receipt, "before")["raw_events"] == len(gone) + 1
    assert places(receipt, "before")["dead_letters"] == 2
    dead = whole.batches.rows("SELECT raw_data FROM dead_letters")
    assert sorted(row["raw_data"] for row in dead) == ["{", '{"user_id":"bob"}']
    noted = whole.batches.rows("SELECT kind, sum(length(erased)) AS n FROM ledger GROUP BY kind ORDER BY kind")
    assert noted == [{"kind": "outcome", "n": 2}, {"kind": "erased", "n": len(gone) + 1}]
    left = whole.batches.rows("SELECT event_id FROM raw_events")
    assert {str(row["event_id"]) for row in left} == {one.raw.event_id for one in stay}


def asked(*patched: tuple[str, str], settled: bool = True, **which: Any) -> str:
    """A replay, as it is asked for; ``settled`` is one that is over."""
    book = wiring._replay_book(wiring.measured_store())
    operations = [patch.Set(path, value) for path, value in patched]
    replay = book.create(Request("failed", Filter(**which), operations), book.generation(), 3)
    if settled:
        book.note(replay, replay.progress._replace(sent=3, ended=True, settled=True, outcome=(3, 0, 0, 0)))
    return replay.replay_id


def test_replays_no_longer_tell_whom_their_patches_made_of_events_and_one_at_work_comes_to_its_end(
    whole: Whole,
) -> None:
    mine = delivery(user_ref=ADA, anonymous_id=DEVICE)
    patched = delivery(failed=True, raw_data="{}", key_id="live")._replace(processed=None)
    patched = patched._replace(raw=patched.raw._replace(patch=f'[{{"op":"set","path":"user_id","value":"{ADA}"}}]'))
    other = delivery(user_ref="bob")
    whole.batches.record([mine, patched, other])
    told = [
        asked(("user_id", ADA)),
        asked(("properties.email", f"<{ADA}>")),
        asked(("anonymous_id", DEVICE), settled=False),
        asked(cause=f"no such user: {ADA}"),
    ]
    stays = asked(("user_id", "bob"), settled=False)
    assert wiring.eraser(600, 60).preview(ADA)["replays"] == len(told)
    receipt = erase(ADA)
    assert (places(receipt, "before")["replays"], places(receipt, "after")["replays"]) == (len(told), 0)
    assert places(receipt, "before")["raw_events"] == 2
    assert where_known(whole, [mine, patched]) == []
    book = wiring._replay_book(wiring.measured_store())
    replays = [book.get(one) for one in told]
    assert {one.request for one in replays} == {Request("failed")}
    assert [one.matched for one in replays] == [3] * 4
    assert [one.stopped for one in replays] == [False, False, True, False]
    # Let go on again one that has no end would bring all that ever failed.
    assert all(book.want(one, stop=False).progress.ended for one in told)
    assert (book.get(stays).stopped, book.get(stays).request.patch) == (False, [patch.Set("user_id", "bob")])


def test_nothing_of_the_person_is_on_a_disk_any_more(whole: Whole, module_whole: Whole) -> None:
    folder = Path(str(module_whole.folder))

    def found(text: str, where: str) -> list[str]:
        done = subprocess.run(["grep", "-rlaF", text, str(folder / where)], capture_output=True, text=True, check=False)
        return done.stdout.split()

    texts = (ADA, DEVICE, ids.named("user", ADA))
    mine = [
        delivery(user_ref=ADA, anonymous_id=DEVICE, timestamp=NOW + n * 7 * DAY, raw_data=f'{{"user_id":"{ADA}"}}')
        for n in range(6)
    ]
    mine += [delivery(anonymous_id=DEVICE, timestamp=NOW + n * 7 * DAY + SECOND) for n in range(6)]
    theirs = [delivery(user_ref="bob", timestamp=NOW + n * 7 * DAY) for n in range(6)]
    # One came again and better: the worse row is only hidden so far.
    worse = delivery(event_id=mine[0].raw.event_id, user_ref=ADA, timestamp=NOW - 40 * DAY, received_at=NOW + SECOND)
    whole.batches.record([worse])
    whole.measure()
    whole.batches.record([*mine, *theirs])
    whole.measure()
    assert found(ADA, "clickhouse")
    assert found(DEVICE, "clickhouse")
    assert found(texts[2], "questdb")
    receipt = erase(ADA)
    assert set(places(receipt, "after").values()) == {0}
    for text in texts:
        assert found(text, "clickhouse") == [], text
    # Its old files go when the store tidies up; what it answers is known at once.
    assert texts[2] not in str(whole.series.query("SELECT visitor, user_id FROM sessions"))
    assert set(whole.batches.members()) == {one.raw.event_id for one in theirs}


def test_one_that_is_killed_at_any_statement_is_gone_on_with(whole: Whole) -> None:
    gone = of("bob", ARRIVALS[:40])
    for statement in range(2, 40, 8):
        whole.clear()
        whole.batches.record(ARRIVALS[:40])
        whole.measure()
        erasure = wiring.erasures().ask("bob")
        died = die(whole, erasure, statement)
        until(lambda: turn_is_free(whole), 30, "the turn")
        done = wiring.eraser(600, 60).carry_out(wiring.erasures().get(erasure.erasure_id))
        assert set(done.after.values()) == {0}
        whole.check(without(ARRIVALS[:40], gone))
        if not died:
            break
    assert statement > 9


@pytest.mark.parametrize("meanwhile", [False, True], ids=["asked_after", "asked_meanwhile"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO session_event_rows",
        "INSERT INTO identity_links",
        "DELETE FROM touched",
        "INSERT INTO visitor_first",
    ],
)
def test_what_a_tick_that_died_has_left_neither_keeps_the_person_nor_brings_them_back(
    whole: Whole, statement: str, meanwhile: bool
) -> None:
    """It leaves the turn, its scratch, sessions without their events, notes of what to compute, touches.

    ``meanwhile``: it knew of their events, which were gone before it wrote what it made of them.
    """
    mine, theirs = visits(), ARRIVALS[:60]
    whole.batches.record([*mine[:4], *theirs])
    whole.measure()
    whole.batches.record(mine[4:])
    erasure = wiring.erasures().ask(ADA)
    die_in_a_tick(whole, statement, partial(begin, erasure) if meanwhile else lambda: None)
    assert any("stitch_" in one for one in where_known(whole, mine))
    done = wiring.eraser(600, 60).carry_out(wiring.erasures().get(erasure.erasure_id))
    assert set(done.after.values()) == {0}
    for _ in range(2):
        assert where_known(whole, mine) == []
        whole.check(theirs)
        whole.measure()
    assert where_known(whole, mine) == []


def begin(erasure: Erasure) -> None:
    """Carry it out as far as their events are gone."""

    def stop(_: Erasure) -> None:
        raise Died

    with pytest.raises(Died):
        wiring.eraser(600, 60).carry_out(erasure, stop)


def die_in_a_tick(whole: Whole, statement: str, meanwhile: Callable[[], None]) -> None:
    """A run whose process is gone before such a statement. Before it writes sessions, something else happens."""
    run, dead, left = ClickHouseBatch.run, Event(), [meanwhile]

    def mortal(store: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> None:
        if dead.is_set():
            raise StoreUnavailable("Its process is gone.")
        if sql.startswith("INSERT INTO session_rows") and left:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ClickHouseBatch, "run", run)
                left.pop()()
        if sql.startswith(statement):
            dead.set()
            raise Died
        run(store, sql, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClickHouseBatch, "run", mortal)
        with pytest.raises((Died, StoreUnavailable)):
            whole.run()
    assert (dead.is_set(), left) == (True, [])


def visits() -> list[Delivery]:
    """Of a person whose device was nobody's before they logged in, and whose sessions go on with what comes last."""
    anonymous = [delivery(anonymous_id=DEVICE, timestamp=NOW + n * DAY, received_at=NOW + n) for n in range(4)]
    return anonymous + [
        delivery(user_ref=ADA, anonymous_id=DEVICE, timestamp=NOW + n * DAY + SECOND, received_at=NOW + 9 + n)
        for n in range(4)
    ]


def where_known(whole: Whole, mine: list[Delivery]) -> list[str]:
    """The tables, scratch among them, in which a name of the person is, or an event of theirs that is not kept.

    Sessions of the other store in any state: what gave way to another one can be read still.
    """
    names = [ADA, DEVICE, ids.named("user", ADA)]
    kept = ("event_deliveries", "erased_events")
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT IN ('View')"
    found = []
    for row in whole.batches.rows(tables):
        text = whole.batches.client.raw_query(f"SELECT * FROM {row['name']}", fmt="TSV")
        known = names if row["name"] in kept else [*names, *(one.raw.event_id for one in mine)]
        found += [f"{row['name']}: {name}" for name in known if name.encode() in text]
    told = str(whole.series.query("SELECT * FROM sessions"))
    return found + [f"questdb sessions: {name}" for name in names if name in told]


def turn_is_free(whole: Whole) -> bool:
    sql = "SELECT argMax(state, number) AS state, argMax(expires_at, number) < now64(3) AS over FROM measure_leases"
    row = whole.batches.rows(sql)[0]
    return bool(row["state"] != "held" or row["over"])


def die(whole: Whole, erasure: Erasure, statement: int) -> bool:
    """Carry it out in a process that is gone before its n-th statement that changes something."""
    run, left = ClickHouseBatch.run, [statement]

    def mortal(store: ClickHouseBatch, sql: str, parameters: Any) -> None:
        own = ("ALTER", "OPTIMIZE", "INSERT INTO eras", "INSERT INTO supp", "INSERT INTO touched")
        left[0] -= sql.startswith(own)
        if left[0] <= 0 and "measure_leases" not in sql:
            raise Died
        run(store, sql, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClickHouseBatch, "run", mortal)
        try:
            wiring.eraser(600, 60).carry_out(erasure)
        except Died:
            return True
    return False


def test_a_dry_run_counts_and_leaves_everything(whole: Whole) -> None:
    whole.batches.record(ARRIVALS)
    whole.measure()
    counts = wiring.eraser(600, 60).preview("bob")
    assert counts["processed_events"] == len(of("bob", ARRIVALS))
    assert counts["questdb sessions"] > 0
    whole.check(ARRIVALS)
    for table in ("suppressions", "erasures", "erasure_subjects", "erased_events", "erasure_sessions"):
        assert whole.batches.rows(f"SELECT count() AS n FROM {table}") == [{"n": 0}]


def test_an_erasure_that_is_not_done_is_the_one_that_is_asked_for_again(whole: Whole) -> None:
    erasures = wiring.erasures()
    first = erasures.ask("ann")
    assert erasures.ask("ann").erasure_id == first.erasure_id
    assert erasures.ask(ids.named("user", "ann")).erasure_id == first.erasure_id
    assert wiring.eraser(600, 60).run() == 1
    assert erasures.get(first.erasure_id).state == "done"
    assert erasures.ask("ann").erasure_id != first.erasure_id


def test_of_a_finished_one_only_hashes_and_ids_are_kept(whole: Whole) -> None:
    whole.batches.record([delivery(user_ref=ADA, anonymous_id=DEVICE, event_id=str(uuid.uuid4()))])
    erase(ADA)
    for table in ("erasures", "erased_events", "suppressions", "erasure_subjects"):
        told = str(whole.batches.rows(f"SELECT * FROM {table}"))
        assert ADA not in told
        assert DEVICE not in told
        assert ids.named("user", ADA) not in told


def test_late_events_are_refused_by_enrich_as_it_is_wired_and_those_of_others_are_not(whole: Whole) -> None:
    def sent(number: int, **more: str) -> dict[str, Any]:
        facts = {"event_id": ids.named("late", str(number)), "event_type": "click", "event_name": "a"}
        return {**facts, "platform": "web", **more}

    def stored() -> set[str]:
        return {row["user_ref"] or row["anonymous_id"] for row in whole.batches.rows("SELECT * FROM raw_events")}

    first = message(sent(1, user_id=ADA, anonymous_id=DEVICE), sent(2, user_id="bob"))
    wiring.enrich_service.cache_clear()
    try:
        enrich = wiring.enrich_service()
        enrich.handle([first])
        assert stored() == {ADA, "bob"}
        erase(ADA)
        done = enrich.handle([first, message(sent(3, user_id=ADA), sent(4, anonymous_id=DEVICE), sent(5))])
        assert done.counts["suppressed"] == 3
        assert stored() == {"bob", ""}
    finally:
        wiring.enrich_service.cache_clear()
