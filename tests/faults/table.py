"""The outcomes as a table: for a terminal, and as the Markdown that is committed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.run import Outcome

_COLUMNS = ("fault", "acknowledged", "failed", "refused", "lost", "twice", "recovery", "result")


def line(outcome: Outcome) -> str:
    """One outcome, and all that is wrong with it."""
    if outcome.skipped:
        return f"  NOT RUN: {outcome.skipped}"
    told = f"  {outcome.acknowledged:,} acknowledged, {outcome.lost} lost, {outcome.twice} twice"
    told += f", whole {outcome.recovery_seconds:.1f} s after it was mended ({outcome.seconds:.0f} s in all)"
    told += "; " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in outcome.spent.items())
    return "\n".join([told, *(f"  WRONG: {one}" for one in outcome.problems)])


def text(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The whole table."""
    rows = [_COLUMNS, *map(_row, outcomes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lost, twice = sum(one.lost for one in outcomes), sum(one.twice for one in outcomes)
    events = sum(one.acknowledged for one in outcomes)
    lines.append(
        f"{len(outcomes)} faults in {seconds:.0f} s: {events:,} events acknowledged, {lost} lost, {twice} twice"
    )
    return "\n".join(lines)


def markdown(outcomes: Sequence[Outcome], seconds: float, how: str) -> str:
    """The table as it is committed; ``how`` it was run."""
    lines = [
        "# The fault matrix",
        "Made by `make faults`. The whole laptop stack under a load of valid, invalid, repeated and late events; an",
        "independent witness wrote down every answer. After each fault what it was told, the stores, the ledger,",
        "`weir audit` and every answer of the API agree. *Lost*: acknowledged and not stored, or refused and not",
        "visible as failed. *Twice*: counted twice in a table or an answer. *Recovery*: seconds from when it was",
        "mended until all was stored, without a human (some of it is the load that goes on).",
        "How: docs/adr/0019-fault-matrix.md.",
        "",
        "| broken | how | mended | clients see | acknowledged | failed | refused | lost | twice | recovery (s) |",
        "|---|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in outcomes:
        fault = one.fault
        told = [fault.broken, fault.how, fault.mended, fault.expected, *_row(one)[1:-1]]
        lines.append("| " + " | ".join(told) + " |")
    lost, twice = sum(one.lost for one in outcomes), sum(one.twice for one in outcomes)
    events = sum(one.acknowledged for one in outcomes)
    lines += [
        "",
        f"{_run(outcomes)}, {events:,} events acknowledged, **{lost} lost, {twice} counted twice**"
        f" ({seconds / 60:.0f} minutes; {how}).",
    ]
    return "\n".join([*lines, ""])


def _run(outcomes: Sequence[Outcome]) -> str:
    """How many faults were run."""
    done = sum(not one.skipped for one in outcomes)
    return f"{done} faults" if done == len(outcomes) else f"{done} of {len(outcomes)} faults"


def _row(one: Outcome) -> tuple[str, ...]:
    if one.skipped:
        return (one.fault.name, "not run", *[""] * 5, "not run")
    numbers = (one.acknowledged, one.failed, one.refused_meanwhile, one.lost, one.twice)
    told = "good" if one.good else "WRONG"
    return (one.fault.name, *(f"{number:,}" for number in numbers), f"{one.recovery_seconds:.1f}", told)
