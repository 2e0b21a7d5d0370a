"""Carries out erasures, a step after the other; each may be repeated, so one that died is gone on with.

1. removing   all names of the person are found and refused; their events are written down by id and deleted
2. stitching  the batches are told, and what was computed of these events is computed anew without them
3. purging    what is left of them beside: versions that no longer hold, links, and rows of the time-series store
4. done       all places were looked at again, and nothing of it is on the disk of the event store any more

An event may be on its way in while all this happens. Who records events asks, after its rows can be read and before it
acknowledges them, whether somebody is refused whom it did not know of, and removes these rows itself. The refusal is
written before anybody looks for rows here. So either it sees the refusal, or its rows are seen here
(docs/adr/0016-privacy.md).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from functions.measure.database import Database, one, some
from functions.measure.doubts import Doubts
from functions.measure.erasing import people, places, statements
from functions.measure.erasing.disk import Disk
from functions.measure.erasing.erasures import Erasure, Erasures
from functions.measure.erasing.people import Link
from functions.measure.erasing.replay_requests import ReplayRequests
from functions.measure.erasing.tombstones import Row, Tombstones
from functions.measure.lease import Lease
from functions.measure.service import Measured
from functions.measure.stitching import scratch
from functions.shared.domain.suppression import Position
from functions.shared.errors import StoreUnavailable

# One may have 256 characters of four bytes.
_DEVICES_AT_A_TIME = 100
_WAIT_SECONDS = 60.0
# What a first look may have missed was on its way in. What still comes after so many looks is for the next run.
_ROUNDS = 5
_WORK = ("erasure_subjects", "erasure_sessions")
_ALSO_CHANGED = ("visitor_merges", "replays", "metric_states")


class Turn(NamedTuple):
    """What changes what the batches wrote may only do so while none of them is at work."""

    lease: Lease
    database: Database
    doubts: Doubts


class Eraser:
    """One at a time makes sense, several do no harm. ``measure`` runs the batches to their end."""

    def __init__(
        self,
        database: Database,
        erasures: Erasures,
        disk: Disk,
        tombstones: Tombstones,
        requests: ReplayRequests,
        measure: Callable[[], Measured],
        turn: Callable[[], Turn],
        clock: Callable[[], int],
    ) -> None:
        self._database, self._erasures, self._disk, self._tombstones = database, erasures, disk, tombstones
        self._requests, self._measure, self._turn, self._clock = requests, measure, turn, clock

    def run(self, tell: Callable[[Erasure], None] = lambda _: None) -> int:
        """Carry out all that were asked for, and how many that were. ``tell`` is told of each as it comes further."""
        waiting = self._erasures.unfinished()
        for erasure in waiting:
            self.carry_out(erasure, tell)
        return len(waiting)

    def carry_out(self, erasure: Erasure, tell: Callable[[Erasure], None] = lambda _: None) -> Erasure:
        """Go on with one until it is done.

        Raises :class:`StoreUnavailable` where a store is away, or the batches are busy; go on with it later then.
        """
        steps = {"requested": self._remove, "removing": self._remove, "stitching": self._stitch, "purging": self._purge}
        rounds = 0
        while erasure.state != "done":
            rounds += erasure.state == "removing"
            if rounds > _ROUNDS:
                raise StoreUnavailable("Events of theirs still come in that are not refused yet; the next run goes on.")
            erasure = steps[erasure.state](erasure)
            self._erasures.note(erasure)
            tell(erasure)
        return erasure

    def preview(self, user: str, anonymous_ids: Sequence[str] = ()) -> dict[str, int]:
        """How much there is in each place. Nothing is refused; only a list of it is written, and removed again."""
        erasure = self._erasures.new(user)
        try:
            self._erasures.add(erasure, self._erasures.names(erasure, user, anonymous_ids), refuse=False)
            self._widen(erasure, refuse=False)
            self._gather(erasure)
            self._choose(self._database, erasure)
            counts = {**self._gathered(erasure), **self._said(erasure), **self._beside(erasure)}
            return {**counts, **self._series_rows(erasure)[0]}
        finally:
            for table in (*_WORK, "erased_events"):
                self._disk.delete(table, "erasure_id = {id:UUID}", erasure.erasure_id)

    def _remove(self, erasure: Erasure) -> Erasure:
        self._widen(erasure)
        self._gather(erasure)
        erasure = _with(erasure, {**self._gathered(erasure), **self._said(erasure)})._replace(state="removing")
        self._erasures.note(erasure)
        # Before any event goes: one that is at work may bring more of theirs.
        self._requests.forget(self._replays(erasure))
        self._database.run(statements.ACCOUNT, _id(erasure))
        months = self._texts(statements.MONTHS, erasure)
        for place in places.EVENTS:
            self._disk.delete(place.name, _ERASED, erasure.erasure_id, months if place.parted else None)
        self._disk.delete("visitor_merges", statements.MERGES, erasure.erasure_id)
        given = {"id": erasure.erasure_id, "chunks": int(one(self._database, statements.CHUNKS, _id(erasure))[0])}
        self._database.run(statements.TOUCH, given)
        return erasure._replace(state="stitching")

    def _stitch(self, erasure: Erasure) -> Erasure:
        done = self._measure()
        if done.state != "done":
            raise StoreUnavailable(f"The batches are not done without them yet: {done.detail or done.state}")
        return erasure._replace(state="purging")

    def _purge(self, erasure: Erasure) -> Erasure:
        turn = self._turn()
        if not turn.lease.acquire(_WAIT_SECONDS):
            raise StoreUnavailable("The batches are at work; what they computed cannot be purged yet.")
        try:
            erasure = self._purged(turn, erasure)
        finally:
            turn.lease.release()
        return self._finish(erasure)

    def _purged(self, turn: Turn, erasure: Erasure) -> Erasure:
        database = turn.database
        self._choose(database, erasure)
        counts, rows = self._series_rows(erasure)
        erasure = _with(erasure, {**self._beside(erasure), **counts})
        self._erasures.note(erasure)
        # Of some a session of somebody else may stand again, if this one lost the turn.
        version = turn.lease.version()
        with turn.doubts.of_writing(version), turn.lease.writing():
            self._tombstones.write(rows, self._clock())
        self._tombstones.tidy()
        # Of rows that go now nobody is told by a newer one.
        database.run(statements.PURGED, {"version": version})
        for table, where in statements.DERIVED.items():
            self._disk.delete(table, where, erasure.erasure_id)
        self._disk.forget_versions("metric_states", self._texts(statements.MONTHS_OF_METRICS, erasure))
        for table in (*scratch.TABLES, "first_compared"):
            database.run(f"TRUNCATE TABLE IF EXISTS {table}", {})
        return erasure

    def _finish(self, erasure: Erasure) -> Erasure:
        """Look at all places anew. Where something is found again, which was on its way in, it is begun again."""
        found = sum(int(one(self._database, places.count(place), _id(erasure))[0]) for place in places.EVENTS)
        after = {place.name: self._count(place.name, _ERASED, erasure) for place in places.EVENTS}
        after |= {**self._said(erasure), **self._beside(erasure), **self._series_rows(erasure)[0]}
        if found or any(after.values()):
            return erasure._replace(state="removing")
        for table in _WORK:
            self._disk.delete(table, "erasure_id = {id:UUID}", erasure.erasure_id)
        tables = [place.name for place in places.EVENTS]
        self._disk.await_removed([*tables, *statements.DERIVED, *_ALSO_CHANGED, *_WORK])
        return erasure._replace(state="done", after=after, finished_at=self._clock())

    def _widen(self, erasure: Erasure, refuse: bool = True) -> None:
        """Find all names of the person: who is one with them, and in which turns devices were theirs."""
        add, asked_at = self._erasures.add, erasure.requested_at
        known = self._erasures.subjects(erasure.erasure_id)
        pairs = [(row[0], row[1]) for row in self._database.rows(_MERGED, {})]
        visitors = [f"u:{one.name}" if one.kind == "user" else one.name for one in known if one.kind in _VISITORS]
        group = {name for visitor in visitors for name in people.merged(visitor, pairs)} - set(visitors)
        add(erasure, people.named((name for name in group if name.startswith("u:")), asked_at), refuse)
        users = {one.name for one in self._erasures.subjects(erasure.erasure_id) if one.kind == "user"}
        devices = {name[2:] for name in group if name.startswith("a:")}
        links = self._links({*self._texts(statements.DEVICES_OF_USERS, erasure), *devices})
        linked = {link.anonymous_id for link in links}
        others = [name for name in group - set(map(people.device, linked)) if not name.startswith("u:")]
        texts = people.texts(self._texts(statements.REFERENCES, erasure))
        turns = people.turns(links, users, asked_at) + people.unlinked(devices & linked, links, asked_at)
        add(erasure, turns + people.named(others, asked_at) + texts, refuse)

    def _links(self, devices: Iterable[str]) -> list[Link]:
        found: list[Link] = []
        for asked in some(sorted(devices), _DEVICES_AT_A_TIME):
            given = {"devices": asked}
            for device, at, event_id, user, environment in self._database.rows(statements.LINKS, given):
                found.append(Link(device, Position(int(at), event_id), user, environment))
        return found

    def _gather(self, erasure: Erasure) -> None:
        for place in places.EVENTS:
            self._database.run(places.gather(place), _id(erasure))

    def _choose(self, database: Database, erasure: Erasure) -> None:
        database.run(statements.LOSE, _id(erasure))
        database.run(statements.LOSE_NUMBERS, _id(erasure))
        database.run(statements.SESSIONS, _id(erasure))

    def _gathered(self, erasure: Erasure) -> dict[str, int]:
        found = dict.fromkeys((place.name for place in places.EVENTS), 0)
        return found | {name: int(count) for name, count in self._database.rows(_GATHERED, _id(erasure))}

    def _beside(self, erasure: Erasure) -> dict[str, int]:
        return {table: self._count(table, where, erasure) for table, where in statements.DERIVED.items()}

    def _said(self, erasure: Erasure) -> dict[str, int]:
        """Where operators named the person."""
        merges = self._count("visitor_merges", statements.MERGES, erasure)
        return {"visitor_merges": merges, "replays": len(self._replays(erasure))}

    def _replays(self, erasure: Erasure) -> list[str]:
        return self._requests.naming(self._erasures.subjects(erasure.erasure_id))

    def _series_rows(self, erasure: Erasure) -> tuple[dict[str, int], list[Row]]:
        own = self._texts(places.OWN_VISITORS, erasure)
        names = self._texts(places.VISITORS, erasure)
        sessions = self._texts(_SESSIONS, erasure)
        rows = self._tombstones.standing(own, set(names) - set(own), sessions)
        return {"questdb sessions": len(rows)}, rows

    def _count(self, table: str, where: str, erasure: Erasure) -> int:
        return int(one(self._database, f"SELECT count() FROM {table} WHERE {where}", _id(erasure))[0])  # noqa: S608

    def _texts(self, sql: str, erasure: Erasure) -> list[str]:
        return [str(row[0]) for row in self._database.rows(sql, _id(erasure))]


def _id(erasure: Erasure) -> dict[str, str]:
    return {"id": erasure.erasure_id}


def _with(erasure: Erasure, counts: dict[str, int]) -> Erasure:
    """With counts from before: what a look after something was removed already finds is less."""
    known = erasure.before
    return erasure._replace(before={**known, **{name: max(n, known.get(name, 0)) for name, n in counts.items()}})


_VISITORS = ("user", "identity")
_ERASED = f"event_id IN {places.ERASED}"
_MERGED = "SELECT visitor, other FROM visitor_merges FINAL WHERE NOT undone"
_GATHERED = "SELECT place, uniqExact(event_id) FROM erased_events WHERE erasure_id = {id:UUID} GROUP BY place"
_SESSIONS = "SELECT DISTINCT toString(session_id) FROM erasure_sessions WHERE erasure_id = {id:UUID}"
