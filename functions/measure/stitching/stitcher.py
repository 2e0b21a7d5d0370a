"""Stitches what was touched, a bounded step at a time.

A step reads touches, computes in scratch tables, and only then writes, in an order that makes a step that died be found
again: sessions, events that merely follow, links, the events that prove the change, and at last the touches go. It also
says that it began, and that it is done: of one that died, the next looks at all that was written as well.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from functions.measure.database import Database, one, some
from functions.measure.lease import Lease
from functions.measure.stitching import finding, keeping, linking, merges, reaching, scratch, summarising
from functions.measure.stitching.fragments import FENCE

_SECOND = 1_000_000_000
_TOUCHES_AT_A_TIME = 2_000
# One may have 256 characters of four bytes.
_NAMES_AT_A_TIME = 100
# These tell of single events; the others of ranges.
_OF_EVENTS = ("block", "erased")
_PENDING = """SELECT toString(attempt_id), toUnixTimestamp64Milli(touched_at), toString(kind), events,
    toUnixTimestamp(minutes[1]), toUnixTimestamp(minutes[2])
FROM touched
WHERE kind != 'block' OR touched_at <= fromUnixTimestamp64Milli({until:Int64})
ORDER BY kind = 'links' DESC, kind = 'block' DESC, if(kind = 'block', touched_at, toDateTime64(minutes[1], 3)),
    attempt_id
LIMIT {most:UInt32}"""
_TOUCH = "(attempt_id, toUnixTimestamp64Milli(touched_at))"
_COUNTS = """SELECT (SELECT count() FROM stitch_changes), (SELECT uniqExact(visitor) FROM stitch_reach),
    (SELECT count() FROM stitch_sessions)"""

_REACHED = """SELECT maxIf(version, stage = 'begun'), maxIf(version, stage = 'stitched') FROM measure_progress"""
_REACH = f"""INSERT INTO measure_progress (stage, version)
SELECT {{stage:String}}, {{version:UInt64}} WHERE {FENCE}"""

_NEWEST = "SELECT toUnixTimestamp64Milli(max(touched_at)) FROM touched"

Note = Callable[[str, Mapping[str, Any], str], None]


class Touched(NamedTuple):
    """A touch that waits: whose, when (milliseconds), of what kind, of how many events, and of a range the seconds."""

    attempt_id: str
    at: int
    kind: str
    events: int
    since: int
    until: int


class Step(NamedTuple):
    """What a step did."""

    touches: int
    events: int
    visitors: int
    sessions: int


class Rule(NamedTuple):
    """What ends a session: a pause, and its length. And how far before the newest event metrics follow what changes."""

    gap_seconds: int = 1_800
    longest_seconds: int = 86_400
    horizon_seconds: int = 30 * 86_400


class Stitcher:
    """Takes steps while the lease is held.

    ``note`` is told, before anything is written, at which times something changes and what that concerns: by a query
    and its parameters, and by a query of the attempts that told of it, where such are known from then on.
    """

    def __init__(self, database: Database, lease: Lease, note: Note, rule: Rule, step_events: int) -> None:
        self._database, self._lease, self._note = database, lease, note
        self._rule = {
            "gap": rule.gap_seconds * _SECOND,
            "longest": rule.longest_seconds * _SECOND,
            "horizon": rule.horizon_seconds,
        }
        self._step_events = step_events
        self._ready = False

    def newest(self) -> int:
        """When the newest of what waits was left, by the store's clock: milliseconds since 1970."""
        return int(one(self._database, _NEWEST)[0])

    def step(self, until: int, arrived: Callable[[], None] = lambda: None) -> Step | None:
        """Stitch what some touches tell of; None when nothing waits, but for events that came after ``until``.

        ``arrived`` is called when it is noted where events came or went, before it is known whose they are.
        """
        began, finished = (int(number) for number in one(self._database, _REACHED))
        touches = self._next(until)
        unfinished = began > finished
        now, renamed = self._read_merges()
        if not touches and not renamed and not unfinished:
            return None
        self._prepare()
        self._keep_merges(now, renamed)
        kind = touches[0].kind if touches else "block"
        given: dict[str, Any] = {**self._rule, "lease": self._lease.lease_id, "version": self._lease.version()}
        given["finished"] = finished
        if kind != "block":
            given |= {"since": touches[0].since * _SECOND, "until": touches[0].until * _SECOND}
        self._look(touches, kind, given, arrived)
        self._find(touches, kind, bool(renamed), unfinished, given)
        done = self._stitch(kind, bool(renamed), unfinished, given)
        self._reach("stitched", given)
        self._remove(touches)
        return Step(len(touches), *done)

    def _prepare(self) -> None:
        for table in scratch.TABLES:
            self._database.run(f"TRUNCATE TABLE {table}" if self._ready else scratch.create(table), {})
        self._ready = True

    def _next(self, until: int) -> list[Touched]:
        """Blocks that make a step together, or one range: ranges of links come first, ranges of events last."""
        found: list[Touched] = []
        events = 0
        for row in self._database.rows(_PENDING, {"most": _TOUCHES_AT_A_TIME, "until": until}):
            touch = Touched(row[0], int(row[1]), row[2], *map(int, row[3:]))
            if found and (touch.kind != "block" or events + touch.events > self._step_events):
                continue
            found.append(touch)
            events += touch.events
            if touch.kind != "block":
                return found[:1]
        return found

    def _read_merges(self) -> tuple[dict[str, str], list[str]]:
        """By which names visitors go, and which names some go by that the batches do not know yet."""
        pairs = self._database.rows("SELECT visitor, other FROM visitor_merges FINAL WHERE NOT undone", {})
        now = merges.aliases((one, other) for one, other in pairs)
        was = dict(self._database.rows("SELECT visitor, merged_into FROM visitor_aliases FINAL", {}))
        renamed = {was.get(name, name) for name in now.keys() | was.keys() if now.get(name) != was.get(name)}
        return now, sorted(renamed)

    def _keep_merges(self, now: Mapping[str, str], renamed: list[str]) -> None:
        """Put them into scratch."""
        self._merged = bool(now)
        for pairs in some(list(now.items()), _NAMES_AT_A_TIME):
            self._database.run(
                "INSERT INTO stitch_aliases SELECT one.1, one.2 FROM (SELECT arrayJoin(arrayZip({names:Array(String)},"
                " {into:Array(String)})) AS one)",
                {"names": [name for name, _ in pairs], "into": [name for _, name in pairs]},
            )
        for names in some(renamed, _NAMES_AT_A_TIME):
            self._database.run("INSERT INTO stitch_renamed SELECT arrayJoin({names:Array(String)})", {"names": names})

    def _reach(self, stage: str, given: Mapping[str, Any]) -> None:
        self._database.run(_REACH, {**given, "stage": stage})

    def _look(self, touches: list[Touched], kind: str, given: Mapping[str, Any], arrived: Callable[[], None]) -> None:
        if kind in _OF_EVENTS and touches:
            for statement in finding.look(f"{_TOUCH} IN ({_listed(touches)})"):
                self._database.run(statement, {})
            told = finding.told(contested=bool(self._count("stitch_contested")))
            self._note(keeping.arrived_times(kind == "erased"), given, told)
            arrived()

    def _find(
        self, touches: list[Touched], kind: str, renamed: bool, unfinished: bool, given: Mapping[str, Any]
    ) -> None:
        run = self._database.run
        if kind != "links" and touches:
            run(finding.find_fresh(kind == "events"), given)
            if int(one(self._database, finding.count_twins())[0]):
                run(finding.drop_twins(), {})
            run(finding.find(kind == "events"), given)
            run(linking.relink(), {})
        if unfinished:
            run(linking.relink_unfinished(), given)
        if kind == "links":
            run(linking.relink_range(), given)
            for statement in linking.links_of_range():
                run(statement, {})
        elif self._count("stitch_relinked"):
            before = int(one(self._database, linking.count_linked_before())[0])
            run(linking.links_of_changes(bool(before)), {})
        if self._count("stitch_relinked"):
            run(finding.find_of_relinked(), {})
        if renamed:
            run(finding.find_of_merged(), {})
        if unfinished:
            run(finding.find_of_unfinished(), given)
        run(reaching.resolve(self._merged), {})

    def _stitch(self, kind: str, renamed: bool, unfinished: bool, given: Mapping[str, Any]) -> tuple[int, int, int]:
        run, whole = self._database.run, kind == "events"
        run(reaching.concern(whole, unfinished), given)
        self._number(given)
        run(reaching.reach(whole), given)
        if int(one(self._database, reaching.count_late())[0]):
            run(reaching.part(), given)
            if int(one(self._database, reaching.count_fitting())[0]):
                run(reaching.take_parts(), {})
        run(reaching.standing(), given)
        run(reaching.keep_in_reach(whole), given)
        run(summarising.block(), given)
        for statement in summarising.start():
            run(statement, given)
        run(summarising.summarise(), given)
        # What an operator wants computed anew has no horizon, nor has what somebody wants forgotten.
        self._note(keeping.changed_times(whole, kind != "block"), given, keeping.attempts_of_range() if whole else "")
        self._reach("begun", given)
        run(keeping.keep_sessions(whole), given)
        run(keeping.keep_events(False), given)
        if self._count("stitch_relinked"):
            run(linking.keep_links(), given)
        if renamed:
            run(keeping.keep_aliases(), given)
        run(keeping.keep_events(True), given)
        self._lease.check()
        changes, visitors, sessions = one(self._database, _COUNTS)
        return int(changes), int(visitors), int(sessions)

    def _number(self, given: Mapping[str, Any]) -> None:
        count, last = (int(number) for number in one(self._database, reaching.count_unnumbered()))
        for statement in reaching.number() if count else ():
            self._database.run(statement, {**given, "numbers": last, "count": count})

    def _remove(self, touches: list[Touched]) -> None:
        if touches:
            self._database.run(
                # No others: an attempt may tell once more meanwhile.
                f"DELETE FROM touched WHERE {_TOUCH} IN ({_listed(touches)})"  # noqa: S608  UUIDs from the store
                " SETTINGS lightweight_delete_mode = 'lightweight_update', lightweight_deletes_sync = 2",
                {},
            )

    def _count(self, table: str) -> int:
        return int(one(self._database, f"SELECT count() FROM {table}")[0])  # noqa: S608


def _listed(touches: list[Touched]) -> str:
    return ", ".join(f"('{touch.attempt_id}', {touch.at})" for touch in touches)
