"""What is kept of the sender's address, once everything that needs the whole of it has seen it."""

from collections.abc import Callable, Mapping
from typing import Any

from functions.enrich.steps.step import NOTHING, Columns, Step, is_anonymous
from functions.shared.domain import addresses
from functions.shared.domain.privacy import AddressMode

_DROPPED: Columns = {"ip": "", "network": ""}


def address_step(mode: AddressMode) -> Step:
    """``ip`` and ``network`` as they may be stored; nothing of who refuses. Where it fails, nothing is kept."""
    keep = _STEPS[mode]

    def run(row: Mapping[str, Any]) -> Columns:
        return _DROPPED if is_anonymous(row) else keep(row)

    return Step("address", run, _DROPPED)


def _truncate(row: Mapping[str, Any]) -> Columns:
    return {"ip": addresses.truncated(row["ip"])}


_STEPS: Mapping[AddressMode, Callable[[Mapping[str, Any]], Columns]] = {
    "kept": lambda _row: NOTHING,
    "truncated": _truncate,
    "dropped": lambda _row: _DROPPED,
}
