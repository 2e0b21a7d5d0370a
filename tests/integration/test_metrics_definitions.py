"""Metrics by the definitions of an operator, and what becomes of what others had measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from functions.measure.metrics import definitions
from functions.measure.metrics.plan import Plan
from tests.support.measured import DAY, PLAN, SINCE, World
from tests.support.reference_metrics import metrics
from tests.support.serve_store import Store
from tests.support.stitched import SECOND, Event, random_events, sessions_of

pytestmark = pytest.mark.engines


SHIPPED = definitions.SHIPPED.read_text(encoding="utf-8")
OTHERS = {
    "another name": ("metrics.page_views]", "metrics.views]"),
    "fewer dimensions of a set": (
        'property = "visitor"\nintervals = ["1m", "1h", "1d"]\ndimensions = ["platform", "event_type", ',
        'property = "visitor"\nintervals = ["1m", "1h", "1d"]\ndimensions = ["platform"] # [',
    ),
    "another condition": ('filter = { event_type = "error" }', 'filter = { event_type = "click" }'),
    "fewer counts": ('[metrics.all_events]\n', '[metrics.all_events]\nfilter = { country = "DE" }\n'),
    "another form": ('property = "duration_seconds"\n', 'property = "duration_seconds"\nsignificant_digits = 6\n'),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_measured_by_other_definitions_is_measured_anew_where_something_changes_and_by_a_rebuild(
    store: Store, other: str
) -> None:
    text = SHIPPED.replace(*OTHERS[other])
    assert text != SHIPPED
    world, events = World(store), random_events(17, 120, SINCE, 1_500)
    world.measured_by(Plan(definitions.parse(text)))
    world.change([], events[:80], exactly=True)
    world.measured_by(PLAN)
    world.change(events[:80], events[:100], exactly=True)
    world.change(events[:100], events, exactly=True)
    world.rebuild(SINCE, SINCE + DAY)
    # What no definition names any more nobody asks for.
    found = {key: value for key, value in world.values().items() if key[0] != "views"}
    assert found == pytest.approx(metrics(events, sessions_of(events)), rel=1e-12)


def test_a_block_that_other_definitions_had_measured_is_read_and_not_added_to(store: Store) -> None:
    world, events = World(store), random_events(19, 80, SINCE, 500)
    world.measured_by(Plan(definitions.parse(SHIPPED.replace(*OTHERS["another condition"]))))
    world.change([], events[:40], exactly=True)
    world.measured_by(PLAN)
    # Elsewhere first, so that the block is touched only once the new ones hold already.
    apart = random_events(20, 10, SINCE + 7_200, 500)
    world.change(events[:40], [*events[:40], *apart], exactly=True)
    world.change([*events[:40], *apart], [*events, *apart], exactly=True)
    world.rebuild(SINCE + 7_200, SINCE + 10_800)
    found = {key: value for key, value in world.values().items() if key[:2] == ("errors_share", "1m")}
    wanted = metrics([*events, *apart], sessions_of([*events, *apart]))
    assert found == pytest.approx({key: value for key, value in wanted.items() if key[:2] == ("errors_share", "1m")})


def test_of_a_filter_that_asks_whether_there_is_something_a_group_that_vanished_is_overwritten(store: Store) -> None:
    text = (
        '[metrics.seen]\nabout = "Seen."\nkind = "count"\nsource = "visits"\n'
        'filter = { page_path = { exists = true } }\nintervals = ["1m", "1h", "1d"]\n'
    )
    world, events = World(store), random_events(21, 30, SINCE, 500)
    world.measured_by(Plan(definitions.parse(text)))
    world.change([], events, exactly=True)
    assert world.values()
    world.change(events, [], exactly=True)
    assert world.values() == {}


OWN = """
[metrics.pages]
about = "An operator's own."
kind = "unique"
source = "visits"
property = "page_path"
intervals = ["1h"]
dimensions = ["country+platform", "platform"]

[metrics.names]
about = "An operator's own."
kind = "unique"
source = "visits"
property = "event_name"
filter = { country = { exists = true } }
intervals = ["1m", "1d"]
dimensions = ["country"]
minute_dimensions = ["platform"]

[metrics.seen]
about = "An operator's own."
kind = "count"
source = "visits"
intervals = ["1m", "1h"]
dimensions = ["device_type"]
minute_dimensions = ["platform", "country+platform"]

[metrics.typical_lag]
about = "An operator's own."
kind = "quantile"
source = "events"
property = "ingestion_lag_ms"
level = 0.5
intervals = ["1m", "1d"]
dimensions = ["platform"]
"""


@pytest.mark.parametrize("at_once", [True, False])
def test_definitions_of_an_operator_are_measured_by_their_own_groupings(store: Store, at_once: bool) -> None:
    world, events = World(store), random_events(21, 150, SINCE, 3 * 3_600)
    world.measured_by(Plan(definitions.parse(OWN)))
    if at_once:
        world.stitched.put(events)
        world.rebuild(SINCE, SINCE + DAY)
    else:
        for before, after in ((0, 60), (60, 110), (110, 150)):
            world.change(events[:before], events[:after], exactly=True)
    people = [one for one in events if not one.is_bot]

    def by(interval: str, *cuts: str) -> dict[str, Sequence[str]]:
        return {interval: ("", *cuts)}

    def distinct(name: str) -> Callable[[list[Event]], float]:
        return lambda some: len({getattr(one, name) for one in some})

    def middle(some: list[Event]) -> float:
        return sorted(one.lag_ms for one in some)[(len(some) + 1) // 2 - 1]

    known = [one for one in people if one.country]
    told = [
        ("pages", people, distinct("page_path"), by("1h", "country+platform", "platform")),
        ("names", known, distinct("event_name"), by("1m", "platform") | by("1d", "country")),
        ("seen", people, len, by("1m", "platform", "country+platform") | by("1h", "device_type")),
        ("typical_lag", people, middle, by("1m") | by("1d", "platform")),
    ]
    wanted = {key: value for one in told for key, value in plainly(*one)}
    assert world.values() == pytest.approx(wanted)


def plainly(
    name: str, events: Sequence[Event], value: Callable[[list[Event]], float], cuts: dict[str, Sequence[str]]
) -> Iterator[tuple[Any, float]]:
    """The values of a metric, one group after the other."""
    for interval, cut in ((interval, cut) for interval, some in cuts.items() for cut in some):
        groups: dict[Any, list[Event]] = {}
        for event in events:
            start = event.at - event.at % ({"1m": 60, "1h": 3_600, "1d": DAY}[interval] * SECOND)
            tags = {one: getattr(event, one) or "unknown" for one in cut.split("+") if one}
            group = (start, tuple(sorted({"environment": event.environment, **tags}.items())))
            groups.setdefault(group, []).append(event)
        yield from (((name, interval, *group), value(some)) for group, some in groups.items())
