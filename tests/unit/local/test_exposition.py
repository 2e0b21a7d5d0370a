"""What a Prometheus server reads of the functions' metrics."""

import io
import json

import pytest

from functions.shared.observe import Observer
from infra.local import gauges
from infra.local.exposition import Exposition


def test_counts_add_up_times_have_sum_and_count_and_states_are_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    observer = Observer("exposed", io.StringIO())
    observer.invocation("a", "r-1", {"events_accepted": 3}, {"handle": 1.5})
    observer.invocation("a", "r-2", {"events_accepted": 4}, {"handle": 2.5})
    observer.gauges({"DeadLetters": 5})
    observer.gauges({"DeadLetters": 1})
    exposition = Exposition()
    for line in [*capsys.readouterr().out.splitlines(), "no json at all", '{"_aws": broken']:
        exposition.take(line)
    assert exposition.text().splitlines() == [
        "# TYPE weir_dead_letters gauge",
        'weir_dead_letters{service="exposed"} 1',
        "# TYPE weir_events_accepted_total counter",
        'weir_events_accepted_total{service="exposed"} 7',
        "# TYPE weir_handle_time_milliseconds summary",
        'weir_handle_time_milliseconds_sum{service="exposed"} 4',
        'weir_handle_time_milliseconds_count{service="exposed"} 2',
    ]


def test_what_was_refused_is_told_by_key_and_nothing_else_is(capsys: pytest.CaptureFixture[str]) -> None:
    observer = Observer("exposed", io.StringIO())
    for key_id in ("live_a", "live_b", "live_a", ""):
        observer.invocation("a", "r-1", {"requests_limited": 1}, {"handle": 1.5}, 429, key_id)
    observer.gauges({"EventsDropped": 7}, "live_b")
    exposition = Exposition()
    for line in capsys.readouterr().out.splitlines():
        exposition.take(line)
    assert exposition.text().splitlines() == [
        "# TYPE weir_events_dropped_total counter",
        'weir_events_dropped_total{service="exposed",key_id="live_b"} 7',
        "# TYPE weir_handle_time_milliseconds summary",
        'weir_handle_time_milliseconds_sum{service="exposed"} 6',
        'weir_handle_time_milliseconds_count{service="exposed"} 4',
        "# TYPE weir_requests_limited_total counter",
        'weir_requests_limited_total{service="exposed"} 1',
        'weir_requests_limited_total{service="exposed",key_id="live_a"} 2',
        'weir_requests_limited_total{service="exposed",key_id="live_b"} 1',
    ]


def test_a_label_may_hold_whatever_a_line_of_the_log_may() -> None:
    exposition = Exposition()
    exposition.take(json.dumps({"_aws": {}, "service": 'a"b', "key_id": "c\\n\nd", "EventsDropped": 1}))
    assert exposition.text().splitlines()[1:] == [
        r'weir_events_dropped_total{service="a\"b",key_id="c\\n\nd"} 1',
    ]


def test_engines_are_up_or_not_by_what_they_answer_now() -> None:
    assert gauges.engines({"nats": lambda: True, "clickhouse": lambda: False}).splitlines() == [
        "# TYPE weir_engine_up gauge",
        'weir_engine_up{engine="clickhouse"} 0',
        'weir_engine_up{engine="nats"} 1',
    ]
    assert gauges.engines({}) == ""


def test_the_event_sources_counters_are_told_by_what_they_count() -> None:
    told = {"pulled": 9, "messages": 8, "invocations": 4, "acked": 5, "retried": 2, "dead_lettered": 1, "in_flight": 3}
    lines = gauges.event_source(told).splitlines()
    assert {
        "weir_event_source_messages_pulled_total 9",
        "weir_event_source_message_tries_total 8",
        "weir_event_source_invocations_total 4",
        "weir_event_source_messages_acked_total 5",
        "weir_event_source_messages_again_total 2",
        "weir_event_source_messages_dead_total 1",
        "weir_event_source_messages_in_flight 3",
    } <= set(lines)
    assert "# TYPE weir_event_source_messages_pulled_total counter" in lines


def test_all_that_the_event_source_counts_is_there_to_be_told() -> None:
    from infra.nats.event_source.report import Counters

    assert {"in_flight", *gauges._COUNTERS.values()} <= Counters().as_dict().keys()
