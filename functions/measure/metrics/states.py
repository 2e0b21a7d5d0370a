"""What is kept of a group so that it can be merged with others: sets and distributions; and what is read from these.

What is counted once is kept as a set of hashes; or of numbers, where its values have such, which is smaller and faster.
A distribution of a few different values is kept as these with how often each was met; one of which nearly every value
is another as a list in their order, which costs a fifth.
"""

from collections.abc import Mapping
from typing import NamedTuple

from functions.measure.metrics.definitions import LEVELS

_LEVELS = ", ".join(map(str, LEVELS))
_WEIGHTED = f"quantilesExactWeightedState({_LEVELS})"


class State(NamedTuple):
    """A kind of state. SQL: what it is called until it is kept, what it is of nothing, of rows, and of many such.

    ``of_rows`` has a place for the value; ``merged`` one for the column.
    """

    name: str
    none: str
    of_rows: str
    merged: str

    def merged_if(self, condition: str) -> str:
        """Of those that a condition holds for. For sets."""
        return self.merged.replace("State(", "StateIf(").format(f"{self.name}, {condition}")


# By the column of metric_states.
STATES: Mapping[str, State] = {
    "uniques": State(
        "united",
        "arrayReduce('uniqExactState', CAST([], 'Array(UInt64)'))",
        "uniqExactStateIf({})",
        "uniqExactMergeState({})",
    ),
    "numbers": State(
        "counted",
        "arrayReduce('groupBitmapState', CAST([], 'Array(UInt64)'))",
        "groupBitmapStateIf({})",
        "groupBitmapMergeState({})",
    ),
    "amounts": State(
        "spread",
        f"arrayReduce('{_WEIGHTED}', CAST([], 'Array(Float64)'), CAST([], 'Array(UInt64)'))",
        f"{_WEIGHTED}({{}}, toUInt64(1))",
        f"quantilesExactWeightedMergeState({_LEVELS})({{}})",
    ),
    "values": State("listed", "CAST([], 'Array(Float64)')", "groupArray({})", "arraySort(groupArrayArray({}))"),
}
COLUMNS = ", ".join(STATES)
# Quantiles of a list are the same as of weights: of so many values the n-th that is not exceeded by the part.
_OF_LIST = f"arrayMap(level -> listed[greatest(1, toUInt64(ceil(length(listed) * level)))], [{_LEVELS}])"
NO_LEVELS = "CAST([], 'Array(Float64)')"
DIFFERENT_OF = {"uniques": "finalizeAggregation(united)", "numbers": "finalizeAggregation(counted)"}
# One of both is of nothing.
DIFFERENT_OF_ANY = " + ".join(DIFFERENT_OF.values())
LEVELS_OF = {"amounts": "finalizeAggregation(spread)", "values": _OF_LIST}
LEVELS_OF_ANY = f"if(notEmpty(listed), {_OF_LIST}, finalizeAggregation(spread))"


def merged() -> str:
    """All of them merged, under the names that they have until they are kept."""
    return ", ".join(f"{one.merged.format(column)} AS {one.name}" for column, one in STATES.items())
