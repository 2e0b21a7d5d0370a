"""The fragments of SQL that the statements of stitching have in common.

Parameters, of all statements: since, until (where a whole range is looked at), gap, longest (all nanoseconds), horizon
(seconds), lease, version; finished: the version of the last step that came to its end.
"""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.stitching.scratch import PAYLOAD
from functions.shared.domain import environments

NIL = "toUUID('00000000-0000-0000-0000-000000000000')"
# Whoever lost the lease writes nothing: the store itself looks, as the statement begins.
FENCE = "(SELECT argMax(lease_id, number) FROM measure_leases WHERE state = 'held') = {lease:UUID}"
# The store would look for equal keys within a block, and there are none.
NO_TWINS = "optimize_on_insert = 0"
KEY = "timestamp, event_id"
AT = "toUnixTimestamp64Nano(timestamp)"
TEXT_ORDER = "UUIDToNum(event_id)"
# Where an event is in the order of all, as one number: its time, then the text of its id.
POSITION = f"bitShiftLeft(toUInt256({AT}), 128) + reinterpretAsUInt128(reverse({TEXT_ORDER}))"
IS_LINK = "startsWith(identity, 'u:') AND anonymous_id != ''"
USER = "toUUID(substring(identity, 3))"


def apart(name: str) -> str:
    """Within a step a name tells its environment too, so that one name in both is two: of the test one it has a `t`."""
    return f"if(environment = '{environments.TEST}', concat('t', {name}), {name})"


def plain(name: str) -> str:
    """The same without: the name that is told."""
    return f"if(startsWith({name}, 't'), substring({name}, 2), {name})"


DEVICE = apart("concat('a:', anonymous_id)")
# What an event itself told, without its content.
TOLD = ", ".join(PAYLOAD)


def in_range(time: str) -> str:
    """Whether a time is in the range that is looked at."""
    return (
        f"{time} >= fromUnixTimestamp64Nano({{since:Int64}}, 'UTC')"
        f" AND {time} < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC')"
    )


UNFINISHED = "version > {finished:UInt64}"
IN_RANGE = in_range("timestamp")


def hashes(table: str) -> str:
    """By which to look for the visitors of a table: rough, as it is of names alone."""
    return f"SELECT cityHash64({plain('visitor')}) FROM {table}"
