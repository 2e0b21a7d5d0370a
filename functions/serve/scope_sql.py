"""The conditions that all questions about stitched events and sessions share."""

from functions.serve.analytics_params import Scope
from functions.serve.filters import Bindings

# Where an event is in the order of all, as one number. ClickHouse's own order of a UUID is another.
# An array of such numbers is made and sorted faster than one of tuples.
POSITION = (
    "bitShiftLeft(toUInt256(toUnixTimestamp64Nano(timestamp)), 128)"
    " + toUInt256(reinterpretAsUInt128(reverse(UUIDToNum(event_id))))"
)


def conditions(scope: Scope, bindings: Bindings, time: str = "timestamp", later_ns: int = 0) -> list[str]:
    """Conditions to be joined by AND; ``later_ns`` moves the end, for what began within the range."""
    found = [f"environment = {bindings.bind(scope.environment, 'String')}"]
    if scope.since is not None:
        found.append(f"{time} >= {bindings.time(scope.since)}")
    if scope.until is not None:
        found.append(f"{time} < {bindings.time(min(scope.until + later_ns, 2**63 - 1))}")
    if not scope.bots:
        found.append("NOT is_bot")
    return found
