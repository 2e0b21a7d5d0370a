"""The schedule's handler of measure, and nothing else."""

from typing import Any

from functions.measure.schedule import answer


def measure(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  a tick tells nothing
    """Run the batches once; says what was done."""
    return answer(context)
