"""The tallies of a request: what travels beside each of its messages, and what is said when none did."""

from collections.abc import Mapping
from typing import NamedTuple

from functions.collect.drops import DropReason
from functions.collect.packing import Part
from functions.shared.domain.ledger import RESENT
from functions.shared.ports import Message
from schemas import tally
from schemas.envelope import Header
from schemas.tally import Tally


class Receipt(NamedTuple):
    """What is known of a request beside its events: where it was handled, its name in the logs, what was dropped."""

    host: str
    request_id: str
    dropped: Mapping[DropReason, int]


def beside(header: Header, receipt: Receipt, part: Part) -> Message:
    """The part's message with its tally; what was dropped is said by the first alone."""
    dropped = _counted(receipt) if part.first == 0 else {}
    told = _tally(header, receipt, dropped, part.first, part.last - part.first)
    return part.message._replace(tally=tally.text(told))


def apart(header: Header, receipt: Receipt, resent: int) -> Message | None:
    """A tally that no message carries: of events dropped or known to the broker. None where there are none."""
    dropped = {**_counted(receipt), RESENT: resent} if resent else _counted(receipt)
    if not dropped:
        return None
    told = _tally(header, receipt, dropped, 0, 0)
    return Message(f"{header.batch_id}:{header.received_at}", b"", tally.text(told))


def _counted(receipt: Receipt) -> dict[str, int]:
    return {str(reason): events for reason, events in receipt.dropped.items()}


def _tally(header: Header, receipt: Receipt, dropped: Mapping[str, int], first: int, events: int) -> Tally:
    return Tally(
        batch_id=header.batch_id,
        key_id=header.key_id,
        received_at=header.received_at,
        first_index=first,
        events=events,
        host=receipt.host,
        request_id=receipt.request_id,
        dropped=dropped,
    )
