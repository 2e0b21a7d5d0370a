"""The service over a store that answers from lists."""

import json
from typing import Any

import pytest

from functions.serve import params
from functions.serve.formats import Page
from functions.serve.ledger_sql import Sample
from functions.serve.shapes import Shape
from functions.shared.errors import BadRequest, NotFound, QueueUnavailable, StoreUnavailable
from functions.shared.ports import Depth, Probe
from tests.unit.serve.fakes import EVENT_ID, NOW, SECOND, FakeReader, key, service, values

BATCH = "018f0000-0000-7000-8000-0000000000bb"
OTHER = "018f0000-0000-7000-8000-00000000000b"


def ask(found: Any, **given: str) -> Page:
    query = params.events_query({name: [value] for name, value in given.items()})
    page: Page = found.events(query, "application/json", Shape(query.source, query.fields))
    return page


def event_ids(page: Page) -> list[str]:
    return [json.loads(line)["event_id"] for line in page.lines]


def id_rows(count: int, at: int | None = None) -> list[list[Any]]:
    return [[*key(number, at), key(number)[1]] for number in range(count)]


class TestPages:
    def test_one_row_more_than_the_page_means_there_is_more(self) -> None:
        reader = FakeReader(("processed_events", id_rows(4)))
        page = ask(service(reader), limit="3", fields="event_id")
        assert event_ids(page) == [row[1] for row in id_rows(3)]
        assert page.has_more
        assert page.next_cursor
        assert reader.closed == 1

    def test_the_last_page_has_no_next(self) -> None:
        page = ask(service(FakeReader(("processed_events", id_rows(3)))), limit="3", fields="event_id")
        assert (len(page.lines), page.has_more, page.next_cursor) == (3, False, None)

    def test_no_events_are_an_empty_page(self) -> None:
        assert ask(service(FakeReader())) == Page([], None, False)

    def test_the_next_page_begins_behind_the_last_event(self) -> None:
        reader = FakeReader(("processed_events", id_rows(4)))
        first = ask(service(reader), limit="3", fields="event_id")
        ask(service(reader), limit="3", fields="event_id", cursor=first.next_cursor or "")
        assert list(reader.asked[1][1].values()) == id_rows(4)[2][:2]

    def test_a_cursor_of_another_query_is_refused(self) -> None:
        reader = FakeReader(("processed_events", id_rows(4)))
        first = ask(service(reader), limit="3", fields="event_id")
        with pytest.raises(BadRequest, match="another query"):
            ask(service(reader), event_name="x", cursor=first.next_cursor or "")

    def test_an_event_of_which_two_rows_stand_for_a_moment_appears_once(self) -> None:
        rows = id_rows(5)
        twice = [rows[0], rows[1], [*key(9, rows[2][0])[:1], *rows[0][1:]], *rows[3:]]
        page = ask(service(FakeReader(("processed_events", twice))), limit="4", fields="event_id")
        assert event_ids(page) == [rows[0][1], rows[1][1], rows[3][1], rows[4][1]]
        assert page.has_more, "as many rows as asked for: there may be more"

    def test_nor_does_it_come_again_on_the_next_page(self) -> None:
        rows = id_rows(3)
        reader = FakeReader(("processed_events", [rows[0], rows[1], rows[0]]))
        page = ask(service(reader), limit="2", fields="event_id")
        reader.replies = []
        ask(service(reader), limit="2", fields="event_id", cursor=page.next_cursor or "")
        assert list(reader.asked[-1][1].values())[1] == rows[1][1]

    @pytest.mark.parametrize(("room", "fit"), [(3 * 52, 3), (3 * 52 - 1, 2), (1, 1)])
    def test_a_page_ends_at_its_size_and_holds_at_least_one(self, room: int, fit: int) -> None:
        reader = FakeReader(("processed_events", id_rows(9)))
        page = ask(service(reader, page_bytes=room), fields="event_id")
        assert len(page.lines[0]) + 1 == 52
        assert (len(page.lines), page.has_more) == (fit, True)
        assert reader.given == fit + 1, "what does not fit is not read"

    def test_a_page_fits_the_answer_of_a_function(self) -> None:
        quotes = '{"a":"' + '\\"' * 500_000 + '"}'
        rows = [[*key(number), quotes] for number in range(9)]
        page = ask(service(FakeReader(("processed_events", rows))), fields="properties")
        assert 1 <= len(page.lines) < 3
        assert len(json.dumps(b"".join(page.lines).decode())) < 6_000_000


FOLLOW = {"order_by": "stored_at", "order": "asc", "fields": "event_id"}


class TestFollowing:
    def test_what_has_just_been_stored_waits_until_nothing_can_appear_before_it(self) -> None:
        rows = [*id_rows(1, NOW - 5 * SECOND), *id_rows(2, NOW - SECOND // 2)[1:]]
        page = ask(service(FakeReader(("processed_events", rows))), **FOLLOW)
        assert (len(page.lines), page.has_more) == (1, True)

    def test_when_there_is_nothing_else_it_is_waited_for_once(self) -> None:
        slept: list[float] = []
        reader = FakeReader(("processed_events", id_rows(1, NOW - SECOND // 2)))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            reader.replies = [("processed_events", id_rows(1, NOW - 2 * SECOND))]

        page = ask(service(reader, sleep=sleep), **FOLLOW)
        assert (slept, len(page.lines), page.has_more) == ([1.0], 1, False)

    def test_the_last_page_tells_where_to_go_on(self) -> None:
        reader = FakeReader(("processed_events", id_rows(1, NOW - 5 * SECOND)))
        page = ask(service(reader), **FOLLOW)
        assert not page.has_more
        assert page.next_cursor
        reader.replies = []
        again = ask(service(reader), cursor=page.next_cursor, **FOLLOW)
        assert again == Page([], page.next_cursor, False)


class TestOneEvent:
    def test_both_forms(self) -> None:
        reader = FakeReader(("processed_events", [values()]), ("raw_events", [values("raw")]))
        found = json.loads(service(reader).event(EVENT_ID))
        assert found["event_id"] == found["raw"]["event_id"] == found["processed"]["event_id"] == EVENT_ID

    def test_a_failed_one_has_no_processed_form(self) -> None:
        reader = FakeReader(("raw_events", [values("raw", processing_status="failed")]))
        found = json.loads(service(reader).event(EVENT_ID))
        assert found["processed"] is None
        assert found["raw"]["processing_status"] == "failed"

    def test_the_raw_form_is_read_first_so_that_one_stored_meanwhile_does_not_look_failed(self) -> None:
        reader = FakeReader(("processed_events", [values()]), ("raw_events", [values("raw")]))
        service(reader).event(EVENT_ID)
        assert ["raw_events" in sql for sql, _ in reader.asked] == [True, False]

    def test_one_that_is_not_there_may_be_in_the_broker(self) -> None:
        with pytest.raises(NotFound, match="broker") as caught:
            service(FakeReader()).event(EVENT_ID)
        assert caught.value.code == "event_not_found"


ROW = [NOW, NOW + 1, NOW + 2, NOW + 3, 2, "processed", "", BATCH, 0, "d1", "k"]
OWN = [NOW, "d1", BATCH, 0, False, NOW + 3]


class TestTrace:
    def test_the_stages_in_order(self) -> None:
        found = service(FakeReader(("raw_events", [ROW]), ("event_deliveries", [OWN]))).trace(EVENT_ID)
        stages = [(stage["stage"], stage["at"], stage["attempt"]) for stage in found["stages"]]
        at = "2026-01-01T00:00:00.00000000{}Z"
        assert stages == [
            ("accepted", "2026-01-01T00:00:00Z", 1),
            ("queued", at.format(1), 1),
            ("enriched", at.format(2), 2),
            ("stored", at.format(3), 2),
        ]
        assert (found["state"], found["duplicates"]) == ("processed", [])

    def test_each_attempt_is_told_with_its_host_and_its_times(self) -> None:
        batch, index = ROW[7], ROW[8]
        where = [batch, NOW, 0, index + 1]
        tally = [*where, "tally", 0, NOW, NOW, NOW, "collect-1", "request-1", [], [], []]
        tries = [[*where, "outcome", n, NOW, NOW + n, NOW + 9, f"enrich-{n}", "", [], [], []] for n in (1, 2)]
        later = [batch, NOW, 0, 0, "correction", 0, NOW, NOW, NOW + 20, "", "", [], [index], []]
        reader = FakeReader(("raw_events", [ROW]), ("FROM ledger", [tally, *tries, later]))
        found = service(reader).trace(EVENT_ID)
        assert (found["stages"][0]["host"], found["stages"][0]["request_id"]) == ("collect-1", "request-1")
        told = [(one["outcome"], one.get("attempt"), one.get("host")) for one in found["attempts"]]
        assert told == [("stored", 1, "enrich-1"), ("stored", 2, "enrich-2"), ("superseded", None, None)]

    def test_an_event_that_was_given_up_says_why(self) -> None:
        row = [BATCH, NOW, 3, "live_a", NOW + 1, NOW + 2, "dead", "It raised.", 5]
        found = service(FakeReader(("dead_letters", [row]))).trace(EVENT_ID)
        last = found["stages"][-1]
        assert (found["state"], last["stage"], last["cause"], last["attempt"]) == ("dead", "dead", "It raised.", 5)
        assert [one["batch_index"] for one in found["dead_letters"]] == [3]

    def test_other_deliveries_are_duplicates(self) -> None:
        other = [NOW + 9, "d2", OTHER, 4, True, NOW + 10]
        found = service(FakeReader(("raw_events", [ROW]), ("event_deliveries", [OWN, other]))).trace(EVENT_ID)
        [duplicate] = found["duplicates"]
        assert (duplicate["batch_id"], duplicate["batch_index"], duplicate["valid"]) == (OTHER, 4, False)

    def test_a_failure_says_why(self) -> None:
        row = [*ROW[:5], "failed", '[{"loc":[],"code":"c","message":"m"}]', *ROW[7:]]
        last = service(FakeReader(("raw_events", [row]))).trace(EVENT_ID)["stages"][-1]
        assert (last["stage"], last["errors"]) == ("failed", [{"loc": [], "code": "c", "message": "m"}])

    def test_unknown(self) -> None:
        with pytest.raises(NotFound):
            service(FakeReader()).trace(EVENT_ID)


class TestBatch:
    def batch(
        self, arrived: list[list[Any]], counted: list[list[Any]], elsewhere: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        reader = FakeReader(
            ("event_deliveries", arrived), ("batch_size", counted), ("DISTINCT", [[one] for one in elsewhere])
        )
        return service(reader).batch(BATCH)

    def test_complete(self) -> None:
        failed = [1, "b", "failed", '[{"loc":[],"code":"c","message":"m"}]', 2]
        found = self.batch([[0, "a"], [1, "b"]], [[0, "a", "processed", "", 2], failed])
        assert found == {
            "batch_id": BATCH, "state": "complete", "received": 2, "stored": 1, "failed": 1, "duplicates": 0,
            "failures": [{"index": 1, "event_id": "b", "errors": [{"loc": [], "code": "c", "message": "m"}]}],
        }  # fmt: skip

    def test_a_part_of_it_is_still_on_its_way(self) -> None:
        found = self.batch([[0, "a"]], [[0, "a", "processed", "", 2]])
        assert (found["state"], found["received"], found["stored"]) == ("processing", 2, 1)

    def test_events_that_count_elsewhere_are_duplicates(self) -> None:
        found = self.batch([[0, "a"], [1, "b"]], [[0, "a", "processed", "", 2]], elsewhere=("b",))
        assert (found["state"], found["stored"], found["duplicates"]) == ("complete", 1, 1)

    def test_an_event_twice_in_a_batch_is_a_duplicate_of_itself(self) -> None:
        found = self.batch([[0, "a"], [1, "a"]], [[0, "a", "processed", "", 2]], elsewhere=("a",))
        assert (found["state"], found["stored"], found["duplicates"]) == ("complete", 1, 1)

    def test_seen_but_not_yet_written_is_no_duplicate(self) -> None:
        found = self.batch([[0, "a"], [1, "b"]], [[0, "a", "processed", "", 2]])
        assert (found["state"], found["duplicates"]) == ("processing", 0)

    def test_unknown(self) -> None:
        with pytest.raises(NotFound, match="broker"):
            self.batch([], [])


class TestProperties:
    def test_types_by_path_by_name(self) -> None:
        paths = [["a", "plan", "Int64", 2], ["a", "plan", "String", 3], ["a", "tags", "Array(Nullable(String))", 1]]
        reader = FakeReader(("JSONAllPathsWithTypes", paths), ("GROUP", [["a", 9], ["b", 1]]))
        assert service(reader).properties(Sample()) == {
            "event_names": [
                {
                    "event_name": "a",
                    "events": 9,
                    "properties": [
                        {"path": "plan", "types": ["integer", "string"], "events": 5},
                        {"path": "tags", "types": ["array"], "events": 1},
                    ],
                },
                {"event_name": "b", "events": 1, "properties": []},
            ],
            "sampled_events": 10,
            "complete": True,
        }


# What is told of the batches when nothing waits.
BEHIND = ("dateDiff", [[0, 0, None, None]])
NO_REQUESTS = ("batch_size", [[0, 0.0]])
QUIET = (BEHIND, NO_REQUESTS)


class TestOperating:
    def probe(self, name: str, detail: str = "") -> Any:
        return lambda: Probe(name, "unavailable" if detail else "ok", detail)

    def test_ready_when_every_engine_answers(self) -> None:
        ok, body = service(FakeReader(), probes=[self.probe("clickhouse"), self.probe("nats")]).ready()
        assert ok
        assert body["engines"]["nats"] == {"status": "ok", "detail": None}

    def test_not_ready_says_why(self) -> None:
        ok, body = service(FakeReader(), probes=[self.probe("clickhouse"), self.probe("nats", "refused")]).ready()
        assert not ok
        assert (body["status"], body["engines"]["nats"]["detail"]) == ("unavailable", "refused")

    def test_status(self) -> None:
        lag = [5, NOW, NOW + SECOND, 0.5, 0.9, 1.5]
        counted = ("uniqExact", [[10]])
        alert = ["dead_letters", "{}", "critical", "Some are dead.", 3.0, NOW]
        replies = [counted, ("event_deliveries", [[12, 7, 1, 6, 2]]), ("quantile", [lag]), ("alert_changes", [alert])]
        replies.append(("batch_size", [[1_000, 10.0]]))
        found = service(
            FakeReader(*replies, *QUIET), oldest_at=lambda: NOW - 2 * SECOND, slow_lane=lambda: (Depth(4, 1, 0), None)
        ).status()
        counts = {"received": 10, "stored": 7, "processed": 6, "failed": 1, "erased": 2, "duplicates": 1}
        assert found["ledger"] == counts
        slow = {"ready": 4, "in_flight": 1, "oldest_seconds": None}
        assert found["queue"] == {"ready": 1, "in_flight": 2, "dead": 3, "oldest_seconds": 2, "slow_lane": slow}
        assert found["lag"]["stored_after_seconds"] == {"p50": 0.5, "p95": 0.9, "max": 1.5}
        assert found["cost"]["events_per_request"] == 100
        assert 0 < found["cost"]["usd_per_million_events"] < 1
        assert found["alerts"]["firing"] == [
            {
                "rule": "dead_letters",
                "tags": {},
                "severity": "critical",
                "summary": "Some are dead.",
                "value": 3.0,
                "firing_since": "2026-01-01T00:00:00Z",
            }
        ]
        assert found["unavailable"] == {}

    @pytest.mark.parametrize(
        ("behind", "late"),
        [
            ([0, 0, None, None], False),
            ([0, 0, None, 60], False),
            ([0, 0, None, 301], True),
            ([3, 70, 20, 60], False),
            ([3, 70, 301, None], True),
        ],
    )
    def test_status_tells_whether_the_batches_are_late(self, behind: list[Any], late: bool) -> None:
        names = ("run_id", "kind", "state", "began_at", "ended_at", "counts", "step_ms", "detail")
        runs = [["r2", "tick", "running", "t2", None, {}, {}, ""], ["r1", "tick", "running", "t1", None, {}, {}, ""]]
        lag = ("quantile", [[0, 0, 0, None, None, None]])
        reader = FakeReader(
            ("event_deliveries", [[0, 0, 0, 0, 0]]), lag, ("dateDiff", [behind]), ("measure_runs", runs), NO_REQUESTS
        )
        batches = service(reader).status()["batches"]
        assert (batches["late"], batches["waiting"]["events"]) == (late, behind[1])
        assert [one["state"] for one in batches["runs"]] == ["running", "died"]
        assert set(batches["runs"][0]) == set(names)

    def test_the_whole_ledger_is_counted_only_when_it_holds_more_than_the_store_and_has_changed(self) -> None:
        lag = ("quantile", [[0, 0, 0, None, None, None]])
        reader = FakeReader(("event_deliveries", [[7, 7, 1, 6, 0]]), lag, *QUIET)
        asked = service(reader)
        assert asked.status()["ledger"]["received"] == 7
        assert not any("uniqExact" in sql for sql, _ in reader.asked)
        reader.replies = [("uniqExact", [[8]]), ("event_deliveries", [[9, 7, 1, 6, 0]]), *reader.replies[1:]]
        assert [asked.status()["ledger"]["received"] for _ in range(3)] == [8, 8, 8]
        assert sum("uniqExact" in sql for sql, _ in reader.asked) == 1

    def test_status_of_a_quiet_store(self) -> None:
        rows = [[0, 0, 0, None, None, None]]
        found = service(FakeReader(("event_deliveries", [[0, 0, 0, 0, 0]]), ("quantile", rows), *QUIET)).status()
        assert found["lag"]["stored_after_seconds"] is None
        assert found["lag"]["newest_stored_at"] is None

    def test_status_tells_what_it_can_while_an_engine_is_down(self) -> None:
        def depth() -> Depth:
            raise QueueUnavailable("No answer.")

        reader = FakeReader()
        reader.down = True
        found = service(reader, depth).status()
        assert {found[name] for name in ("ledger", "accounts", "queue", "lag", "alerts", "batches")} == {None}
        assert set(found["unavailable"]) == {"ledger", "accounts", "queue", "lag", "batches", "cost", "alerts"}

    def test_a_store_that_is_down_is_no_empty_page(self) -> None:
        reader = FakeReader()
        reader.down = True
        with pytest.raises(StoreUnavailable):
            ask(service(reader))
