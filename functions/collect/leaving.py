"""Which events of a request are left out before they are queued, and for which reason the ledger has it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from functions.collect import names
from functions.collect.drops import DropReason
from functions.collect.request import CollectRequest
from functions.shared.domain import consent
from schemas.faults import Fault, FaultCode

CONSENT: FaultCode = "consent"
_REASONS: Mapping[str, DropReason] = {names.CODE: "name", CONSENT: "consent"}
_TOLD: Mapping[consent.Refusal, str] = {
    "event": "The event says that its person does not consent.",
    "gpc": "The browser says that its person does not consent (Sec-GPC).",
    "dnt": "The browser says that its person does not consent (DNT).",
}


def left_out(
    request: CollectRequest,
    lines: Sequence[bytes],
    events: Sequence[dict[str, Any] | None],
    mode: consent.Mode,
) -> dict[int, Fault]:
    """The events that are not taken, by index: of names that the key may not write, of people who refuse."""
    found = {}
    if mode == "drop":
        refusals = consent.refusals(lines, events, request.signal)
        found = {index: Fault(CONSENT, ("context", "consent"), _TOLD[why]) for index, why in refusals.items()}
    return found | names.refused(request.key, lines, events)


def reasons(left: Mapping[int, Fault]) -> dict[DropReason, int]:
    """How many of them, by reason."""
    return dict(Counter(_REASONS[fault.code] for fault in left.values()))
