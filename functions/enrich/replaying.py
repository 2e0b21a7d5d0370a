"""What a replay changes on the way from envelope to rows: events are read as patched, and their rows say so.

``raw_data`` and its digest stay those of the delivery as it came, so it is the same delivery still, and the patch can
be seen, taken back, or applied again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from functions.enrich.steps.step import is_anonymous
from functions.shared.domain import consent, ids, instants
from schemas import patch
from schemas.bundle import Again, PartHeader
from schemas.envelope import Header
from schemas.faults import Fault
from schemas.rows import RawRow
from schemas.validation import Checked

REPLAYED, PATCHED = "replayed", "patched"


def patched(lines: list[bytes], again: Again | None) -> tuple[list[bytes], dict[int, Fault]]:
    """The events as they are to be read; those that the patch cannot be applied to stay, with the reason."""
    if again is None or not again.operations:
        return lines, {}
    read, unfit = list(lines), {}
    for index, line in enumerate(lines):
        try:
            read[index] = patch.apply(again.operations, line)
        except patch.PatchError as error:
            unfit[index] = Fault("patch_refused", (), str(error))
    return read, unfit


def refuse(checked: Checked, unfit: Mapping[int, Fault]) -> None:
    """Judge those as bad that the patch cannot be applied to."""
    for index, fault in unfit.items():
        checked.events[index] = None
        checked.faults[index] = [fault]


def changed(header: Header, first: int, lines: Sequence[bytes], read: Sequence[bytes]) -> frozenset[int]:
    """The batch indexes of the lines, from the ``first`` of the envelope, that are read as others."""
    place = header.first_index + first
    return frozenset(place + index for index, line in enumerate(lines) if read[index] is not line)


def mark(
    rows: Sequence[dict[str, Any]], failed: list[RawRow], again: Again, header: Header, changed: frozenset[int]
) -> None:
    """Say of the rows that they were replayed, which of them are patched; and keep what was known of them."""
    text = patch.text(again.operations)
    known = header if isinstance(header, PartHeader) else _NOTHING_KNOWN
    for row in rows:
        index = row["batch_index"]
        stays = [consent.ANONYMISED] if _stays_anonymised(row) else []
        row["flags"] = [*row["flags"], *stays, *_flags(index, changed)]
        row["patch"] = text if index in changed else ""
        row["digest"] = known.digests.get(index, row["digest"])
        if not row["user_id"] and not is_anonymous(row):
            # The day's salt may be gone: a visitor keeps the id that was given.
            row["anonymous_id"] = row["anonymous_id"] or known.given.get(index, "")
        if index in known.first_processed:
            lag = {"ingestion_lag_ms": (known.first_processed[index] - row["received_at"]) // instants.MILLISECOND}
            row["metrics_text"] = orjson.dumps({**orjson.loads(row["metrics_text"]), **lag}).decode()
    for place, one in enumerate(failed):
        index = one.batch_index
        failed[place] = one._replace(
            flags=[*one.flags, *_flags(index, changed)],
            patch=text if index in changed else "",
            digest=known.digests.get(index, one.digest),
        )


def _stays_anonymised(row: Mapping[str, Any]) -> bool:
    """Whether it was stored as of nobody, and refusals are no longer heard: one visitor would be made of all such."""
    if row["user_id"] or row["anonymous_id"] or row["session_id"] != ids.NIL or row["ip"] or row["user_agent"]:
        return False
    return not is_anonymous(row) and consent.refusal(None, row["raw_data"].encode(), "") == "event"


def _flags(index: int, changed: frozenset[int]) -> list[str]:
    return [REPLAYED, PATCHED] if index in changed else [REPLAYED]


_NOTHING_KNOWN = PartHeader(batch_id="", batch_size=0, key_id="", received_at=0)
