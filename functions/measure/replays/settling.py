"""What became of dead letters that a replay brought again: what succeeded leaves them, what failed says why."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.measure.database import Database, one
from functions.measure.replays.collecting import STATE
from functions.measure.replays.letters import FAILED, RESOLVED, version


def settle(database: Database, generation: int) -> None:
    """Say of the letters in hand what the store knows of them. Safe to run twice."""
    given = {
        "generation": generation,
        "failed": version(generation, FAILED),
        "resolved": version(generation, RESOLVED),
    }
    columns = ", ".join(STATE)
    database.run(_RECORDED.format(columns=columns), given)


def settle_rest(database: Database, generation: int) -> int:
    """The same for those of which another delivery counts; how many are in hand still. For the end of a replay."""
    given = {"generation": generation, "resolved": version(generation, RESOLVED)}
    if left(database, generation):
        database.run(_SUPERSEDED.format(columns=", ".join(STATE)), given)
    return left(database, generation)


def left(database: Database, generation: int) -> int:
    """How many letters the replay has in hand."""
    return int(one(database, _LEFT, {"generation": generation})[0])


_IN_HAND = """SELECT * FROM dead_letter_states FINAL
    WHERE generation = {{generation:UInt64}} AND state = 'replaying'"""
_LEFT = """SELECT count() FROM dead_letter_states FINAL
WHERE generation = {generation:UInt64} AND state = 'replaying'"""
_RECORDED = f"""INSERT INTO dead_letter_states ({{columns}})
SELECT s.received_at, s.batch_id, s.batch_index, s.key_id, if(r.failed, 'failed', 'resolved'), s.tries + r.attempt,
    s.deaths, if(r.failed, r.error_message, s.cause), s.generation,
    if(r.failed, {{{{failed:UInt64}}}}, {{{{resolved:UInt64}}}})
FROM ({_IN_HAND}) AS s INNER JOIN (
    SELECT received_at, batch_id, batch_index, processing_status != 'processed' AS failed, error_message, attempt
    FROM raw_events WHERE generation = {{{{generation:UInt64}}}}) AS r USING (received_at, batch_id, batch_index)"""
_SUPERSEDED = f"""INSERT INTO dead_letter_states ({{columns}})
SELECT s.received_at, s.batch_id, s.batch_index, s.key_id, 'resolved', s.tries, s.deaths, s.cause, s.generation,
    {{{{resolved:UInt64}}}}
FROM ({_IN_HAND}) AS s INNER JOIN (
    SELECT received_at, batch_id, batch_index, event_id FROM dead_letters FINAL
    WHERE (received_at, batch_id, batch_index) IN (SELECT received_at, batch_id, batch_index FROM ({_IN_HAND}))
) AS d USING (received_at, batch_id, batch_index)
WHERE d.event_id IN (SELECT event_id FROM raw_events WHERE processing_status = 'processed' AND event_id IN (
    SELECT event_id FROM dead_letters
    WHERE (received_at, batch_id, batch_index) IN (SELECT received_at, batch_id, batch_index FROM ({_IN_HAND}))))"""
