"""Metric definitions: what ships is sound, and every mistake is told by line, metric and word."""

from pathlib import Path

import pytest

from functions.measure.metrics import definitions
from functions.measure.metrics.compile import changed_groups, computed, merged
from functions.measure.metrics.definitions import Comparison, parse
from functions.measure.metrics.plan import Plan
from functions.shared.errors import Misconfigured

HEAD = """[metrics.events]
about = "Events."
kind = "count"
source = "visits"
intervals = ["1h"]
"""

MISTAKES = {
    "fliter = {}": "fliter is not known; did you mean filter?",
    'source = "visists"': "source: Input should be 'visits'",
    'dimensions = ["plattform"]': "'plattform' is not a dimension of source visits",
    'dimensions = ["platform+country"]': "alphabetical order",
    'dimensions = ["platform", "platform"]': "dimensions: each once",
    'minute_dimensions = ["platform"]': "intervals has no 1m",
    'intervals = ["0m"]': "intervals.0: Input should be '1m', '1h' or '1d'",
    "intervals = [0]": "intervals.0",
    "intervals = []": "intervals: at least one of 1m, 1h, 1d",
    'filter = { event_tpye = "a" }': "event_tpye is not a field of source visits",
    "filter = { event_type = 7 }": "filter.event_type is a text, and 7 is none",
    "filter = { event_type = {} }": "a comparison needs one of",
    "filter = { event_type = { over = 3 } }": "is not known",
    'property = "visitor"': "kind count takes no property",
    "level = 0.5": "level goes with kind quantile only",
    'of = "events"': "is made of no other metric",
    'kind = "unique"': "kind unique needs property",
    'kind = "quantile"': "kind quantile needs level",
    'kind = "average"': "kind: Input should be",
    'kind = "sum"\nproperty = "page_path"': "page_path is no number",
    'kind = "quantile"\nproperty = "event_count"\nlevel = 0.42\nsource = "sessions"': "level: one of",
    'about = ""': "about: String should have at least 1 character",
    'anomalies = ["1d"]': "anomalies: only intervals of a published metric are judged",
    'anomaly_dimensions = ["platform"]': "anomaly_dimensions: each is to be one of dimensions",
    'kind = "null_share"': "kind null_share needs property",
    'kind = "null_share"\nproperty = "page_path"\nfilter = { page_path = "/" }': "filter is not to name page_path",
    'source = "raw"\nbots = "only"': "source raw does not tell bots apart",
}


def mistaken(text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        parse(text)
    return str(caught.value)


def test_the_shipped_definitions_are_sound_and_complete() -> None:
    names = definitions.load().published()
    wanted = {
        "events", "unique_visitors", "sessions", "page_views", "bounce_rate", "session_duration_p50",
        "session_duration_p95", "events_per_session", "revenue", "errors_share", "failed_share", "bot_share",
        "ingestion_lag_p50", "ingestion_lag_p95", "new_visitors", "returning_visitors",
    }  # fmt: skip
    assert wanted <= set(names)


@pytest.mark.parametrize(("line", "told"), MISTAKES.items(), ids=lambda one: one[:30])
def test_a_mistake_is_told_with_its_place(line: str, told: str) -> None:
    given = {one.split(" = ")[0] for one in line.splitlines()}
    kept = [one for one in HEAD.splitlines() if one.split(" = ")[0] not in given]
    message = mistaken("\n".join([kept[0], *kept[1:], line]))
    assert told in message
    assert message.startswith("metrics.toml:1 metric events: ")


def test_the_line_is_that_of_the_metric() -> None:
    broken = '[metrics.share]\nabout = "A."\nkind = "ratio"\nof = "events"\nby = "evnets"\nintervals = ["1h"]\n'
    assert (
        mistaken(f"{HEAD}\n{broken}") == "metrics.toml:7 metric share: there is no metric evnets; did you mean events?"
    )


def test_every_mistake_is_told_at_once() -> None:
    told = mistaken(HEAD.replace("visits", "x") + HEAD.replace("metrics.events", "metrics.more").replace("count", "y"))
    assert "metric events: source" in told
    assert "metric more: kind" in told


@pytest.mark.parametrize("text", ["", "x = 1", "[metric.events]", "metrics = 3", "[metrics.events"])
def test_a_file_without_definitions_is_refused(text: str) -> None:
    assert mistaken(text).startswith("metrics.toml: ")


def test_a_metric_of_a_derived_one_is_refused() -> None:
    rate = '[metrics.rate]\nabout = "A."\nkind = "rate"\nof = "events"\nintervals = ["1h"]\n'
    assert "rate is a rate" in mistaken(
        f"{HEAD}{rate}{rate.replace('metrics.rate', 'metrics.two').replace('events', 'rate')}"
    )


def test_a_derived_metric_is_measured_by_what_its_parts_know() -> None:
    raw = HEAD.replace("metrics.events", "metrics.raw").replace("visits", "raw")
    ratio = '[metrics.r]\nabout = "A."\nkind = "ratio"\nof = "raw"\nby = "events"\nintervals = ["1h"]\n'
    assert "'country' is not a dimension of metric raw" in mistaken(f'{HEAD}{raw}{ratio}dimensions = ["country"]')


def test_what_is_unpublished_is_kept_by_the_groupings_that_need_it() -> None:
    cuts = definitions.load().cuts_of_basic("1h")
    assert cuts["bounces"] == {(), ("platform",), ("country",), ("device_type",)}
    assert cuts["visitors_with_sessions"] == {()}


def test_levels_of_one_distribution_share_their_states() -> None:
    places = Plan(definitions.load()).places
    assert places["session_duration_p50"] == places["session_duration_p95"]
    assert places["session_duration_p50"] != places["ingestion_lag_p50"]


def test_a_quote_in_a_definition_stays_inside_its_literal() -> None:
    plan = Plan(parse(HEAD + 'filter = { event_type = "it\'s\\\\" }'))
    assert "event_type IN ('it\\'s\\\\')" in computed(plan.computed()[0])


def test_the_example_in_the_docs_is_sound() -> None:
    text = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "paying_customers" in parse(text.split("```toml\n")[1].split("```")[0]).metrics


def test_every_shipped_slot_compiles_to_one_insert() -> None:
    statements = [computed(slot) for slot in Plan(definitions.load()).computed()]
    statements += [merged("1h"), merged("1d")]
    assert all(one.startswith("INSERT INTO metric_states") and ";" not in one for one in statements)
    assert changed_groups().startswith("SELECT")


def test_a_null_share_is_a_ratio_of_what_is_missing() -> None:
    found = parse(HEAD.replace("metrics.events", 'metrics."quality.null_share.page"').replace("count", "null_share")
        + 'property = "page_path"\nfilter = { event_type = "page_view" }\nanomalies = ["1h"]\n')  # fmt: skip
    [(name, share)] = found.published().items()
    assert (name, share.kind, share.judged("1h"), share.judged("1d")) == ("quality.null_share.page", "ratio", ((),), ())
    missing, every = (found.metrics[part] for part in share.parts())
    assert (missing.kind, missing.filter["page_path"]) == ("count", Comparison(exists=False))
    assert every.filter == {"event_type": "page_view"}


@pytest.mark.parametrize("name", ["quality.", ".volume", "quality..volume", "Quality.volume", "a" * 64])
def test_names_are_words_with_dots_between(name: str) -> None:
    assert "a name is lower-case letters" in mistaken(HEAD.replace("metrics.events", f'metrics."{name}"'))
