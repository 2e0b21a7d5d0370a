"""Sessions for the time-series store: what changed since the last time, superseded ones too.

How far it came is kept in the store, by version: while the time-series store is away nothing is lost.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

from functions.measure.database import Database, one
from functions.measure.doubts import Doubt, Doubts, earliest
from functions.shared.domain import lines
from functions.shared.domain.lines import Value
from functions.shared.domain.series import SESSIONS
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.ports import SeriesStore

_STAGE = "sessions"
# Each request costs two looks at the turn.
_BYTES_AT_A_TIME = 16 << 20


class Version(NamedTuple):
    """What a step of stitching wrote: from which session's start to which, nanoseconds."""

    version: int
    first: int
    last: int


class Waiting(NamedTuple):
    """What is to be written, and the doubts that make some of it be written once more."""

    versions: Sequence[Version]
    doubts: Sequence[Doubt] = ()


class SessionExporter:
    """``more`` says whether there is time for another version."""

    def __init__(self, database: Database, series: SeriesStore, doubts: Doubts) -> None:
        self._database, self._series, self._doubts = database, series, doubts

    def waiting(self) -> Waiting:
        """What is to be written. A version that is being written just now must not be among it: it is not whole."""
        doubts = self._doubts.known()
        after = earliest(doubts, int(one(self._database, _TOLD, {"stage": _STAGE})[0]))
        return Waiting([Version(*row) for row in self._database.rows(_VERSIONS, {"after": after})], doubts)

    def export(self, waiting: Waiting, more: Callable[[], bool]) -> tuple[int, int, bool]:
        """Write versions, in their order: how many rows, how many no column takes, and whether that was all.

        Raises :class:`~functions.shared.errors.StoreUnavailable`; then the same is written by the next export.
        """
        written = refused = 0
        for version, first, last in waiting.versions:
            if not more():
                self._doubts.settle(waiting.doubts, left_after=version - 1)
                return written, refused, False
            given = {"version": version, "first": first, "last": last}
            with self._doubts.of_writing(version - 1):
                for some in _some(self._database.text(_CHANGED, given)):
                    lost = self._write(some)
                    written, refused = written + lines.count(some) - lost, refused + lost
            self._database.run(_REACHED, {"stage": _STAGE, "version": version})
        if written:
            # Whoever sees that the run ended is to find what it wrote.
            self._series.await_visible(SESSIONS)
        self._doubts.settle(waiting.doubts)
        return written, refused, True

    def _write(self, some: bytes) -> int:
        """Write lines, and find those that no column takes: one of them must not hold up all others. How many."""
        try:
            self._series.write_lines(SESSIONS, some)
        except StoreRefused:
            rows = lines.split(some)
            if len(rows) == 1:
                return 1
            middle = len(rows) // 2
            return self._write(b"".join(rows[:middle])) + self._write(b"".join(rows[middle:]))
        return 0


def _some(pieces: Iterable[bytes]) -> Generator[bytes]:
    """Whole lines, some at a time. Raises StoreUnavailable when what arrives ends with anything else: it broke off.

    They are told apart only where that is needed: a rebuild sends a gigabyte of them.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        # The last one waits for what comes behind it.
        if len(held) >= _BYTES_AT_A_TIME and (end := lines.last(held)):
            yield bytes(held[:end])
            del held[:end]
    if held:
        if not lines.is_line(bytes(held[lines.last(held) :])):
            raise StoreUnavailable("The store broke off in the midst of sessions.")
        yield bytes(held)


_TOLD = "SELECT max(version) FROM measure_progress WHERE stage = {stage:String}"
_VERSIONS = """SELECT version, toUnixTimestamp64Nano(min(started_at)), toUnixTimestamp64Nano(max(started_at))
FROM session_rows WHERE version > {after:UInt64} GROUP BY version ORDER BY version"""
_ROW = {
    "started_at": Value("toUnixTimestamp64Nano(started_at)", "time"),
    "session_id": Value("session_id", "plain"),
    "visitor": Value("visitor"),
    "user_id": Value("user_id", "plain"),
    "ended_at": Value("toUnixTimestamp64Nano(ended_at)", "time"),
    "duration_seconds": Value("duration_seconds", "number"),
    "event_count": Value("event_count", "integer"),
    "page_view_count": Value("page_view_count", "integer"),
    **{
        name: Value(f"nullIf({name}, '')")
        for name in ("entry_page", "exit_page", "referrer", "campaign", "country", "device_type", "browser", "os")
    },
    "platforms": Value("toJSONString(platforms)"),
    "client_session_ids": Value("toJSONString(client_session_ids)"),
    "is_bounce": Value("is_bounce", "boolean"),
    "is_bot": Value("is_bot", "boolean"),
    "key_id": Value("nullIf(key_id, '')"),
    "environment": Value("environment"),
    "state": Value("state", "plain"),
    "computed_at": Value("toUnixTimestamp64Nano(toDateTime64(computed_at, 9))", "time"),
}
# The store writes the lines itself: nothing is left to do for a function that handles a million of them. What a later
# version replaced is told with that one. In the order of time the other store only has to append.
_CHANGED = f"""SELECT {lines.line_sql(SESSIONS, _ROW)}
FROM session_rows FINAL
PREWHERE started_at >= fromUnixTimestamp64Nano({{first:Int64}})
    AND started_at <= fromUnixTimestamp64Nano({{last:Int64}})
WHERE version = {{version:UInt64}}
ORDER BY session_rows.started_at
SETTINGS output_format_json_escape_forward_slashes = 0"""  # noqa: S608  names of our own
_REACHED = "INSERT INTO measure_progress (stage, version) SELECT {stage:String}, {version:UInt64}"
