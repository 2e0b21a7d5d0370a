"""The conditions that all questions about stitched events and sessions share."""

from functions.serve.analytics_params import Scope
from functions.serve.filters import Bindings

# Bytes of a UUID that sort as its text does; ClickHouse's own order of a UUID is another.
ID_ORDER = "UUIDToNum(event_id)"


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
