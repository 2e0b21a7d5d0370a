"""The life of an alert: ok, pending, firing, and ok again. Pure; instants and spans are nanoseconds."""

from typing import Literal, NamedTuple

State = Literal["ok", "pending", "firing"]
Event = Literal["pending", "cleared", "firing", "still_firing", "recovered"]
Verdict = Literal["breach", "clear", "missing"]
Missing = Literal["keep", "ok", "firing"]


class Seen(NamedTuple):
    """What a rule sees now. ``lasting``: all windows that it asks for breach. ``missing`` says nothing either way."""

    verdict: Verdict
    lasting: bool = True
    value: float | None = None


class Pace(NamedTuple):
    """How long a breach has to last before it fires, and after how long one that still fires is told again; 0 never."""

    for_ns: int = 0
    repeat_ns: int = 0


class Alert(NamedTuple):
    """Where an alert stands. ``since`` is when the breach was first seen, ``told_at`` when somebody was told, or 0."""

    state: State = "ok"
    since: int = 0
    fired_at: int = 0
    told_at: int = 0


class Change(NamedTuple):
    """What happened, how the alert stands afterwards, and whether somebody is to be told."""

    event: Event
    after: Alert
    told: bool


OK = Alert()


def step(alert: Alert, seen: Seen, pace: Pace, now: int, silenced: bool = False) -> Change | None:
    """What becomes of an alert; None when nothing does.

    While it is silenced nobody is told. Who was not told that it fires is told once the silence is over, and is not
    told that it recovered.
    """
    if seen.verdict == "clear":
        return _clear(alert, silenced)
    if alert.state == "firing":
        return None if silenced else _remind(alert, pace, now)
    if seen.verdict == "missing":
        return None
    since = now if alert.state == "ok" else alert.since
    if seen.lasting and _over(since, pace.for_ns, now):
        return Change("firing", Alert("firing", since, now, 0 if silenced else now), not silenced)
    return Change("pending", Alert("pending", since), False) if alert.state == "ok" else None


def _clear(alert: Alert, silenced: bool) -> Change | None:
    if alert.state == "firing":
        return Change("recovered", OK, alert.told_at > 0 and not silenced)
    return Change("cleared", OK, False) if alert.state == "pending" else None


def _remind(alert: Alert, pace: Pace, now: int) -> Change | None:
    after = alert._replace(told_at=now)
    if not alert.told_at:
        return Change("firing", after, True)
    if pace.repeat_ns and _over(alert.told_at, pace.repeat_ns, now):
        return Change("still_firing", after, True)
    return None


def _over(since: int, span: int, now: int) -> bool:
    """Whether a span has passed. A clock that was set back must not make anybody wait until it has caught up."""
    return not 0 <= now - since < span
