"""Erasures: asked for, looked at, and how far they came. What is kept of one names nobody."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from functions.measure.database import Database, some
from functions.measure.erasing import people, statements
from functions.measure.erasing.people import Subject
from functions.measure.identities import named
from functions.shared.domain import instants, suppression
from functions.shared.domain.suppression import Position
from functions.shared.errors import NotFound

State = Literal["requested", "removing", "stitching", "purging", "done"]
_DAY = 86_400 * instants.SECOND
# One may have 256 characters of four bytes.
_NAMES_AT_A_TIME = 100
KEPT = (
    "event_deliveries: ids of events and batches, and the hash of the bytes of each delivery",
    "erased_events: ids of the events that were removed, for the ledger",
    "metrics: numbers that nobody can be told from",
    "replays: when there were any, and what came of them",
    "suppressions: hashes by which late events are refused",
)


class Erasure(NamedTuple):
    """One erasure. Times are nanoseconds; ``subject`` is the hash of the user's id."""

    erasure_id: str
    subject: str
    state: State
    requested_at: int
    finished_at: int
    before: Mapping[str, int]
    after: Mapping[str, int]


class Bounds(NamedTuple):
    """For how many days what was there may still lie in the queue (then it is refused), and in backups."""

    stream_days: int
    backup_days: int


class Erasures:
    """The erasures of a store. ``clock`` is nanoseconds; ``stored`` tells a user's id as events carry it."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        stored: Callable[[str], str],
        bounds: Bounds,
    ) -> None:
        self._database, self._clock, self._new_id, self._stored = database, clock, new_id, stored
        self._bounds = bounds

    def ask(self, user: str, anonymous_ids: Sequence[str] = ()) -> Erasure:
        """Have a user erased, by either form of the id, and devices with them. From now on their events are refused.

        One that is not done yet is gone on with. Raises :class:`~functions.shared.errors.BadRequest` for what is no id.
        """
        erasure = self.new(user)
        standing = next((one for one in self.unfinished() if one.subject == erasure.subject), None)
        erasure = standing or erasure
        # First: an erasure that is noted must know whom it is about.
        self.add(erasure, self.names(erasure, user, anonymous_ids))
        if standing is None:
            self.note(erasure)
        return erasure

    def new(self, user: str) -> Erasure:
        """One that nobody knows of yet."""
        subject = suppression.subject("user", _user_id(user))
        return Erasure(self._new_id(), subject, "requested", self._clock(), 0, {}, {})

    def names(self, erasure: Erasure, user: str, anonymous_ids: Sequence[str]) -> list[Subject]:
        """By what the person is known from the first: by the ids from before these were hashed, too."""
        users = sorted({_user_id(user), _user_id(self._stored(user))})
        visitors = [f"u:{one}" for one in users]
        visitors += [named("anonymous_id", people.device(one)) for one in anonymous_ids]
        return people.named(visitors, erasure.requested_at) + people.texts({user, *users})

    def get(self, erasure_id: str) -> Erasure:
        """One erasure. Raises :class:`NotFound`."""
        for row in self._database.rows(_READ + " WHERE erasure_id = {id:UUID}", {"id": erasure_id}):
            return _erasure(row)
        raise NotFound("erasure_not_found", f"There is no erasure {erasure_id[:60]!r}.")

    def unfinished(self) -> list[Erasure]:
        """Those that are not done, the oldest first."""
        rows = self._database.rows(_READ + " WHERE state != 'done' ORDER BY requested_at, erasure_id", {})
        return [_erasure(row) for row in rows]

    def note(self, erasure: Erasure) -> None:
        """Keep how far one came."""
        self._database.run(_NOTE, {**_given(erasure), "clock": self._clock()})

    def add(self, erasure: Erasure, subjects: Iterable[Subject], refuse: bool = True) -> None:
        """Refuse the events of names of the person from now on, and write these down for the work. Known ones stay."""
        fresh = sorted(set(subjects))
        refused = [hashed for one in fresh if (hashed := _hashed(one))] if refuse else []
        for rows, statement in ((refused, statements.SUPPRESS), (fresh, statements.ADD_SUBJECTS)):
            for added in some(rows, _NAMES_AT_A_TIME):
                self._database.run(statement, {"id": erasure.erasure_id, **_columns(added)})

    def subjects(self, erasure_id: str) -> list[Subject]:
        """By what the person is known so far."""
        rows = self._database.rows(statements.SUBJECTS, {"id": erasure_id})
        return [Subject(row[0], row[1], Position(int(row[2]), row[3]), Position(int(row[4]), row[5])) for row in rows]

    def receipt(self, erasure: Erasure) -> dict[str, Any]:
        """What is told of one: how much was and is in each place, what is kept, and what lies elsewhere till when."""
        asked, bounds = erasure.requested_at, self._bounds
        return {
            "erasure_id": erasure.erasure_id,
            "subject": erasure.subject,
            "state": "done" if erasure.state == "done" else "erasing",
            "requested_at": instants.to_text(asked),
            "finished_at": instants.to_text(erasure.finished_at) if erasure.state == "done" else None,
            "places": [
                {"place": place, "before": count, "after": erasure.after.get(place, None)}
                for place, count in sorted(erasure.before.items())
            ],
            "kept": list(KEPT),
            "queue": {
                "until": instants.to_text(asked + bounds.stream_days * _DAY),
                "about": "What was queued before is refused as it comes out, and gone from the queue by then.",
            },
            "backups": {
                "until": instants.to_text(asked + bounds.backup_days * _DAY),
                "about": "Backups made before still hold it; a restored one is to be erased again.",
            },
        }


def _user_id(reference: str) -> str:
    return named("user_id", f"u:{reference}")[2:]


def _hashed(one: Subject) -> Subject | None:
    """A name as it is refused by; None for what is only looked for."""
    if one.kind == "text" or one.kind == "lost":
        return None
    return one._replace(name=suppression.subject(one.kind, one.name))


def _columns(rows: Sequence[Subject]) -> dict[str, list[Any]]:
    return {
        "kinds": [row.kind for row in rows],
        "names": [row.name for row in rows],
        "sinces": [row.since.at for row in rows],
        "since_ids": [row.since.event_id for row in rows],
        "untils": [row.until.at for row in rows],
        "until_ids": [row.until.event_id for row in rows],
    }


def _given(erasure: Erasure) -> dict[str, Any]:
    return {
        "id": erasure.erasure_id,
        "subject": erasure.subject,
        "state": erasure.state,
        "requested": erasure.requested_at,
        "finished": erasure.finished_at,
        "places": list(erasure.before),
        "before": list(erasure.before.values()),
        "left": list(erasure.after),
        "after": list(erasure.after.values()),
    }


def _erasure(row: Sequence[Any]) -> Erasure:
    return Erasure(row[0], row[1], row[2], int(row[3]), int(row[4]), dict(row[5]), dict(row[6]))


_READ = """SELECT toString(erasure_id), subject, toString(state), toUnixTimestamp64Nano(requested_at),
    toUnixTimestamp64Nano(toDateTime64(finished_at, 9)), before, after FROM erasures FINAL"""
_NOTE = """INSERT INTO erasures (erasure_id, subject, state, requested_at, finished_at, before, after, version)
SELECT {id:UUID}, {subject:String}, {state:String}, fromUnixTimestamp64Nano({requested:Int64}, 'UTC'),
    toDateTime64(fromUnixTimestamp64Nano({finished:Int64}, 'UTC'), 3),
    mapFromArrays({places:Array(String)}, {before:Array(UInt64)}),
    mapFromArrays({left:Array(String)}, {after:Array(UInt64)}),
    greatest({clock:UInt64}, (SELECT max(version) + 1 FROM erasures WHERE erasure_id = {id:UUID}))"""
