"""Whether a person lets themself be observed: what their browser says to all sites, and what an event says of itself.

An event's own refusal always counts. Its own leave counts against Do-Not-Track, which knows no site, and not against
Global Privacy Control, which is a refusal by law in places.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Mode = Literal["off", "drop", "anonymise"]
Signal = Literal["", "dnt", "gpc"]
# Why an event is refused: by a signal, by its own word, because its word cannot be read, or by its stored row's flag.
Refusal = Literal["", "dnt", "gpc", "event", "unreadable", "flag"]
_FIELD, _PURPOSE = "consent", "analytics"
# The flag of an event whose sender refused: nothing is known of who that was.
ANONYMISED = "anonymised"


def signal(do_not_track: str, global_privacy_control: str) -> Signal:
    """What a browser says, from the values of the headers ``DNT`` and ``Sec-GPC``."""
    if global_privacy_control.strip() == "1":
        return "gpc"
    return "dnt" if do_not_track.strip() == "1" else ""


def refusal(event: Mapping[str, Any] | None, line: bytes, said: Signal) -> Refusal:
    """Why a person refused that an event is kept as theirs; empty where they did not.

    ``event`` is None where it is bad; then its ``line`` is read again, for what it says.
    """
    read = event if event is not None else _read(line)
    if read is None:
        return said or "unreadable"
    own = _own(read.get("context"))
    if own is False:
        return "event"
    if said == "gpc" or (said and own is None):
        return said
    return ""


def refusals(lines: Sequence[bytes], events: Sequence[Mapping[str, Any] | None], said: Signal) -> dict[int, Refusal]:
    """Why events of a request are refused, by index. One that cannot be read is as its request."""
    found: dict[int, Refusal] = {}
    for index, event in enumerate(events):
        why = refusal(event, lines[index], said)
        if why and (said or why != "unreadable"):
            found[index] = why
    return found


def _own(context: Any) -> bool | None:
    """An event's own word: leave is ``true`` and nothing else; None where it says nothing."""
    if not isinstance(context, Mapping):
        return None
    consent = context.get(_FIELD)
    word = consent.get(_PURPOSE) if isinstance(consent, Mapping) else consent
    if word is None:
        word = context.get(f"{_FIELD}.{_PURPOSE}")
    return None if word is None else word is True


def _read(line: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
