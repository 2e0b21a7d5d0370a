"""The broker's dead letters become rows; a message is let go of when its rows are on the disk.

Whoever dies on the way leaves the message where it is, and whoever collects it again writes the same rows. Letters of
people who were erased are not written; refusals are asked for again once the rows can be read, as enrich does: whoever
is erased meanwhile either finds them, or they are removed here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from functions.measure.database import Database, some
from functions.measure.replays.letters import DEAD, Death, Key, Letter, read, version
from functions.measure.replays.refusing import Refusals
from functions.shared.domain.privacy import Redactor
from functions.shared.ports import DeadMessage, DeadMessages
from schemas.envelope import NewerEnvelope

# A broker's messages may have some megabytes each.
MESSAGES = 16
STATE = (
    "received_at",
    "batch_id",
    "batch_index",
    "key_id",
    "state",
    "tries",
    "deaths",
    "cause",
    "generation",
    "version",
)
_TIMES = frozenset({"received_at", "queued_at", "dead_at"})


class Letters(Database, Protocol):
    """Where dead letters are kept."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of plain values. Raises :class:`~functions.shared.errors.StoreUnavailable`."""
        ...


class Collector:
    """Collects what a broker gave up. Safe to run twice and at the same time."""

    def __init__(self, box: DeadMessages, letters: Letters, redactor: Redactor, refusals: Refusals) -> None:
        self._box, self._letters, self._redactor, self._refusals = box, letters, redactor, refusals

    def run(self, more: Callable[[], bool]) -> int:
        """How many events came. Raises :class:`~functions.shared.errors.Retry` when an engine is away."""
        count, after = 0, 0
        while messages := self._box.take(MESSAGES, after):
            after = messages[-1].place
            readable, deaths = self._read(messages)
            self._keep(deaths)
            self._box.remove(readable)
            count += len(deaths)
            # Where places have no order, what is left here comes again.
            if not readable or not more():
                break
        return count

    def _read(self, messages: Sequence[DeadMessage]) -> tuple[list[DeadMessage], list[tuple[DeadMessage, Death]]]:
        readable, deaths = [], []
        for message in messages:
            try:
                deaths += [(message, death) for death in read(message, self._redactor)]
            except NewerEnvelope:
                # The release that wrote it will read it.
                continue
            readable.append(message)
        return readable, deaths

    def _keep(self, deaths: Sequence[tuple[DeadMessage, Death]]) -> None:
        early = self._refusals.of([death for _, death in deaths])
        self._refusals.forget(early)
        left_out = set(map(id, early))
        kept = [one for one in deaths if id(one[1]) not in left_out]
        self._write(kept)
        self._refusals.forget(self._refusals.of([death for _, death in kept]))

    def _write(self, deaths: Sequence[tuple[DeadMessage, Death]]) -> None:
        letters = [_values(death.letter) for _, death in deaths]
        self._letters.insert("dead_letters", Letter._fields, letters)
        before = self._before([death.letter.key for _, death in deaths if death.generation])
        states = [_state(message, death, before.get(death.letter.key, _NEW)) for message, death in deaths]
        self._letters.insert("dead_letter_states", STATE, [state for state in states if state])

    def _before(self, keys: Sequence[Key]) -> Mapping[Key, tuple[int, int, int]]:
        """Of those that a replay had in hand: tries and deaths so far, and the version of how they stand."""
        if not keys:
            return {}
        batches = sorted({key.batch_id for key in keys})
        found = (row for ids in some(batches) for row in self._letters.rows(_BEFORE, {"batches": ids}))
        return {Key(*row[:3]): (row[3], row[4], row[5]) for row in found}


def _values(letter: Letter) -> list[Any]:
    return [str(value) if name in _TIMES else value for name, value in letter._asdict().items()]


def _state(message: DeadMessage, death: Death, before: tuple[int, int, int]) -> list[Any]:
    """How the letter stands from now on; nothing where that is known."""
    letter, generation = death
    tries, deaths, known = before
    own = version(generation, DEAD)
    if known >= own:
        return []
    told = [tries + message.attempts, deaths + 1, message.cause, generation, own]
    return [str(letter.received_at), *letter.key[1:], letter.key_id, "dead", *told]


_NEW = (0, 0, 0)
_BEFORE = """SELECT toUnixTimestamp64Nano(received_at), toString(batch_id), batch_index, tries, deaths, version
FROM dead_letter_states FINAL WHERE batch_id IN ({batches:Array(UUID)})"""
