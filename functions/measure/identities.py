"""What operators say of visitors: that two of them are one; and that this was a mistake after all.

The next batch applies it: sessions and metrics follow. An undone merge leaves everything as if it had never been.
"""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from functions.measure.database import Database
from functions.measure.stitching.merges import aliases
from functions.shared.domain import ids, instants
from functions.shared.errors import BadRequest, NotFound

State = Literal["pending", "applied"]
LONGEST = 256
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_HASH = re.compile(r"[0-9a-fA-F]{64}\Z")


class Merge(NamedTuple):
    """That two visitors are one. Times are RFC 3339. ``state`` tells whether sessions say so yet."""

    merge_id: str
    visitor: str
    other: str
    merged_at: str
    undone: bool
    state: State


class Identities:
    """The merges of a store. ``clock`` is nanoseconds."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def merge(self, visitor: str, other: str) -> tuple[Merge, bool]:
        """Say that two are one: the merge, and whether it is new. Two are merged once, whoever is named first.

        Raises :class:`BadRequest` for what is no visitor, or twice the same.
        """
        pair = named("visitor", visitor), named("other", other)
        if pair[0] == pair[1]:
            raise _bad("other", "same_visitor", "is the same visitor, who is one with itself already.")
        merge_id = ids.named("merge", "\n".join(sorted(pair)))
        standing = next((one for one in self.list() if one.merge_id == merge_id), None)
        if standing is not None and not standing.undone:
            return standing, False
        given = {"id": merge_id, "visitor": pair[0], "other": pair[1], "clock": self._clock()}
        self._database.run(_MERGE, given)
        return self.get(merge_id), True

    def undo(self, merge_id: str) -> Merge:
        """Take it back. Raises :class:`NotFound` when there is no such merge; one undone already stays so."""
        if not self.get(merge_id).undone:
            self._database.run(_UNDO, {"id": merge_id, "clock": self._clock()})
        return self.get(merge_id)

    def get(self, merge_id: str) -> Merge:
        """One merge. Raises :class:`NotFound`."""
        for merge in self.list():
            if merge.merge_id == merge_id.lower():
                return merge
        raise NotFound("merge_not_found", f"There is no merge {merge_id[:60]!r}.")

    def list(self) -> list[Merge]:
        """All, the newest first, also those undone."""
        rows = list(self._database.rows(_READ, {}))
        wanted = aliases((row[1], row[2]) for row in rows if not row[4])
        applied = {str(name): str(into) for name, into in self._database.rows(_APPLIED, {})}
        return [_merge(row, wanted, applied) for row in rows]


def named(field: str, name: str) -> str:
    """A visitor as sessions name it. A user may be named by the id as it was sent. Raises :class:`BadRequest`."""
    kind, value = name[:2], name[2:]
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _bad(field, "bad_visitor", "is not valid Unicode.") from None
    if kind == "u:" and 0 < len(value) <= LONGEST:
        return "u:" + ids.user(value)
    if kind == "a:" and 0 < len(value) <= LONGEST:
        return name
    if (kind == "s:" and _UUID.match(value)) or (kind == "f:" and _HASH.match(value)):
        return name.lower()
    raise _bad(
        field,
        "bad_visitor",
        f"{name[:60]!r} is no visitor: u: and a user's id, a: and a device's anonymous_id, s: and the client's"
        " session_id, or f: and a hash as sessions show it.",
    )


def _bad(field: str, code: str, message: str) -> BadRequest:
    return BadRequest(code, f"{field}: {message}", [{"loc": ["body", field], "code": code, "message": message}])


def _merge(row: Sequence[Any], wanted: Mapping[str, str], applied: Mapping[str, str]) -> Merge:
    pair = str(row[1]), str(row[2])
    done = _same(pair, wanted, applied)
    return Merge(str(row[0]), *pair, instants.to_text(int(row[3])), bool(row[4]), "applied" if done else "pending")


def _same(names: Iterable[str], wanted: Mapping[str, str], applied: Mapping[str, str]) -> bool:
    """Whether visitors go by the names that follow from what operators said."""
    return all(wanted.get(name, name) == applied.get(name, name) for name in names)


_READ = """SELECT toString(merge_id) AS id, visitor, other, toUnixTimestamp64Nano(toDateTime64(merged_at, 9)), undone
FROM visitor_merges FINAL ORDER BY merged_at DESC, id DESC"""
_APPLIED = "SELECT visitor, merged_into FROM visitor_aliases FINAL"
# A clock that was set back must not make what is said now older than what was said before.
_VERSION = "greatest({clock:UInt64}, (SELECT max(version) + 1 FROM visitor_merges WHERE merge_id = {id:UUID}))"
_MERGE = f"""INSERT INTO visitor_merges (merge_id, visitor, other, merged_at, version)
SELECT {{id:UUID}}, {{visitor:String}}, {{other:String}},
    toDateTime64(fromUnixTimestamp64Nano(toInt64({{clock:UInt64}}), 'UTC'), 3), {_VERSION}"""
_UNDO = f"""INSERT INTO visitor_merges (merge_id, visitor, other, merged_at, undone, version)
SELECT merge_id, visitor, other, merged_at, true, {_VERSION}
FROM visitor_merges FINAL WHERE merge_id = {{id:UUID}}"""
