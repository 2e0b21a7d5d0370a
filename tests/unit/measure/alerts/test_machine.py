"""The life of an alert: what is said of it holds for whatever is seen, whenever, and however often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.measure.alerts.machine import OK, Alert, Change, Pace, Seen, step

BREACH, CLEAR, MISSING = Seen("breach"), Seen("clear"), Seen("missing")
FIRING = Alert("firing", since=10, fired_at=20, told_at=20)

seen = st.builds(Seen, st.sampled_from(["breach", "clear", "missing"]), st.booleans())
paces = st.builds(Pace, st.sampled_from([0, 5, 30]), st.sampled_from([0, 7, 40]))
ticks = st.lists(st.tuples(seen, st.booleans(), st.integers(0, 20)), max_size=30)


def run(pace: Pace, given: list[tuple[Seen, bool, int]]) -> list[tuple[int, Change, bool]]:
    """Tick by tick: when something became of it, what, and whether it was silenced then."""
    alert, now, found = OK, 100, []
    for what, silenced, later in given:
        now += later
        if change := step(alert, what, pace, now, silenced):
            found.append((now, change, silenced))
            alert = change.after
    return found


@given(paces, ticks)
def test_who_is_told_hears_of_firing_first_and_of_recovery_last_each_once(
    pace: Pace, given: list[tuple[Seen, bool, int]]
) -> None:
    known = False
    for _, change, _ in run(pace, given):
        if change.told:
            assert known is (change.event != "firing")
            assert change.event in ("firing", "still_firing", "recovered")
            known = True
        # One that was silenced is never told, and another firing may follow.
        known = known and change.event != "recovered"


@given(paces, st.lists(st.tuples(seen, st.just(False), st.integers(0, 20)), max_size=30))
def test_without_silences_all_that_fires_is_told_and_all_that_was_told_recovers_told(
    pace: Pace, given: list[tuple[Seen, bool, int]]
) -> None:
    for _, change, _ in run(pace, given):
        assert change.told is (change.event in ("firing", "still_firing", "recovered"))


@given(paces, ticks)
def test_nobody_is_told_while_it_is_silenced(pace: Pace, given: list[tuple[Seen, bool, int]]) -> None:
    assert not any(change.told and silenced for _, change, silenced in run(pace, given))


@given(paces, ticks)
def test_nothing_fires_before_the_breach_has_lasted(pace: Pace, given: list[tuple[Seen, bool, int]]) -> None:
    for now, change, _ in run(pace, given):
        if change.event == "firing":
            assert now - change.after.since >= pace.for_ns


@given(paces, ticks)
def test_a_reminder_comes_no_earlier_than_it_is_asked_for(pace: Pace, given: list[tuple[Seen, bool, int]]) -> None:
    last = 0
    for now, change, _ in run(pace, given):
        if change.event == "still_firing":
            assert now - last >= pace.repeat_ns
        if change.told:
            last = now


@given(paces, st.integers(1, 100), st.booleans())
def test_the_same_look_twice_changes_nothing_the_second_time(pace: Pace, now: int, silenced: bool) -> None:
    for alert in (OK, Alert("pending", 10), FIRING):
        for what in (BREACH, CLEAR, MISSING):
            change = step(alert, what, pace, now, silenced)
            if change and change.event != "pending":
                assert step(change.after, what, pace, now, silenced) is None


@given(paces, st.integers(20, 1_000), st.booleans())
def test_what_is_missing_neither_fires_nor_recovers(pace: Pace, now: int, silenced: bool) -> None:
    for alert in (OK, Alert("pending", 10), FIRING):
        change = step(alert, MISSING, pace, now, silenced)
        assert change is None or (alert is FIRING and change.event == "still_firing")


def test_a_breach_is_pending_until_its_time_is_over() -> None:
    pace = Pace(for_ns=10)
    pending = step(OK, BREACH, pace, 100)
    assert pending == Change("pending", Alert("pending", 100), False)
    assert step(pending.after, BREACH, pace, 109) is None
    assert step(pending.after, BREACH, pace, 110) == Change("firing", Alert("firing", 100, 110, 110), True)
    assert step(pending.after, CLEAR, pace, 110) == Change("cleared", OK, False)


def test_windows_that_do_not_all_breach_yet_are_pending() -> None:
    partly = Seen("breach", lasting=False)
    assert step(OK, partly, Pace(), 1) == Change("pending", Alert("pending", 1), False)
    assert step(FIRING, partly, Pace(), 30) is None


def test_what_fires_silenced_is_told_when_the_silence_is_over() -> None:
    silent = step(OK, BREACH, Pace(), 5, silenced=True)
    assert silent == Change("firing", Alert("firing", 5, 5, 0), False)
    assert step(silent.after, BREACH, Pace(), 6, silenced=True) is None
    assert step(silent.after, MISSING, Pace(), 7) == Change("firing", Alert("firing", 5, 5, 7), True)
    assert step(silent.after, CLEAR, Pace(), 7) == Change("recovered", OK, False)


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    assert step(Alert("pending", 1_000), BREACH, Pace(for_ns=10), 50) is not None
    late = Alert("firing", 1_000, 1_000, 1_000)
    assert step(late, BREACH, Pace(repeat_ns=100), 50) == Change("still_firing", late._replace(told_at=50), True)
    assert step(late._replace(told_at=50), BREACH, Pace(repeat_ns=100), 60) is None
