"""One tick of the alerts: look, see what became of each, write it down, tell it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from functions.measure.alerts.book import Book, Entry, Standing
from functions.measure.alerts.courier import Courier
from functions.measure.alerts.machine import OK, Alert, Change, Pace, Seen, step
from functions.measure.alerts.readings import Readings
from functions.measure.alerts.rules import Rule
from functions.measure.alerts.sight import Views, concerns, unseen
from functions.measure.alerts.silences import Silence, silencing
from functions.shared.domain import ids
from functions.shared.domain import tags as tagging
from functions.shared.domain.instants import MILLISECOND

# What is over is done by the next tick, which comes to the same.
_MOST_CHANGES = 500


class Watch:
    """Rules by name, and what they need. ``clock`` is nanoseconds."""

    def __init__(
        self, rules: Mapping[str, Rule], readings: Readings, book: Book, courier: Courier, clock: Callable[[], int]
    ) -> None:
        self._rules, self._readings, self._book, self._courier = rules, readings, book, courier
        self._clock = clock

    def tick(self, more: Callable[[], bool]) -> Counter[str]:
        """Do it once; what was done, in numbers. Raises :class:`~functions.shared.errors.StoreUnavailable`."""
        now = self._clock() // MILLISECOND * MILLISECOND
        standing, silences = self._book.standing(), self._book.silences()
        views, unread = self._readings.read(self._rules, now)
        entries = list(islice(self._entries(standing, views, silences, now), _MOST_CHANGES))
        self._book.write(entries)
        states: dict[str, str] = {one.alert_id: one.alert.state for one in standing.values()}
        states.update({entry.alert_id: entry.state for entry in entries})
        counts = Counter({"alerts_firing": sum(state == "firing" for state in states.values())})
        counts.update({"alert_changes": len(entries), "alert_sources_unread": len(unread)})
        counts.update(self._courier.tell(more))
        return counts

    def _entries(
        self, standing: Mapping[str, Standing], views: Mapping[str, Views], silences: list[Silence], now: int
    ) -> Iterator[Entry]:
        for name, rule in self._rules.items():
            # Of a source that could not be read nothing is said, not even that something is missing.
            if name in views:
                for tags, seen in self._seen(name, rule, views[name], standing).items():
                    alert_id = ids.named("alert", f"{name}:{tags}")
                    before = standing.get(alert_id)
                    covered = silencing(silences, name, json.loads(tags), now)
                    change = step(before.alert if before else OK, seen, rule.pace(), now, covered is not None)
                    if change:
                        fresh = before or _unknown(alert_id, name, tags)
                        yield _entry(_described(fresh, rule, seen), fresh.alert, change, covered, now)
        for one in standing.values():
            # Nobody would ever hear of it again.
            if one.rule not in self._rules or not concerns(self._rules[one.rule], one.tags):
                covered = silencing(silences, one.rule, one.tags, now)
                change = step(one.alert, Seen("clear"), Pace(), now, covered is not None)
                if change:
                    yield _entry(one, one.alert, change, covered, now)

    def _seen(self, name: str, rule: Rule, views: Views, standing: Mapping[str, Standing]) -> Views:
        """What the rule sees, and its alerts that stand and of which nothing was found."""
        kept = {
            tagging.canonical(one.tags): unseen(rule.missing)
            for one in standing.values()
            if one.rule == name and one.alert.state != "ok" and concerns(rule, one.tags)
        }
        return {**kept, **views}


def _unknown(alert_id: str, rule: str, tags: str) -> Standing:
    return Standing(alert_id, rule, json.loads(tags), 0, OK, "", "", "", (), None, "", 0)


def _described(one: Standing, rule: Rule, seen: Seen) -> Standing:
    """With what the rule says today."""
    return one._replace(
        severity=rule.severity,
        summary=rule.summary,
        condition=rule.condition(),
        routes=rule.routes,
        value=seen.value,
    )


def _entry(one: Standing, before: Alert, change: Change, covered: Silence | None, now: int) -> Entry:
    number = one.number + 1
    after = change.after
    return Entry(
        alert_id=one.alert_id,
        number=number,
        # The same for whoever comes to this change from where the alert stands.
        change_id=ids.named("alert-change", f"{one.alert_id}:{number}:{change.event}"),
        event=change.event,
        state=after.state,
        told=change.told,
        silence_id=covered.silence_id if covered else "",
        rule=one.rule,
        tags=one.tags,
        severity=one.severity,
        summary=one.summary,
        condition=one.condition,
        routes=one.routes,
        value=one.value,
        since=after.since,
        fired_at=after.fired_at or before.fired_at,
        told_at=after.told_at,
        changed_at=now,
    )
