"""Rows with their judgements, in the order of the input."""

from collections.abc import Iterable, Iterator

from functions.measure.anomalies import Detector, Judgement, Point
from functions.measure.anomalies.judgement import unjudged
from infra.cli.client import CommandError
from infra.cli.scoring.rows import Counts, Row


def sorted_first(rows: Iterable[Row], counts: Counts) -> Iterator[tuple[Row, Judgement]]:
    """Read all, judge in the order of time, and give back in the order of the input."""
    held = list(rows)
    latest: int | None = None
    for row in held:
        if latest is not None and row.ts < latest:
            counts.out_of_order += 1
        latest = row.ts if latest is None else max(latest, row.ts)
    order = sorted(range(len(held)), key=lambda place: held[place].ts)
    found: dict[int, Judgement] = {}
    for place, (_, judgement) in zip(order, in_order((held[place] for place in order), counts), strict=True):
        found[place] = judgement
    for place, row in enumerate(held):
        yield row, found[place]


def in_order(rows: Iterable[Row], counts: Counts) -> Iterator[tuple[Row, Judgement]]:
    """Judge rows as they come. Raises :class:`CommandError` for one that is earlier than the one before it."""
    detector = Detector()
    last: int | None = None
    for row in rows:
        counts.read += 1
        if row.value is None:
            counts.without_value += 1
            yield row, unjudged(Point(row.ts, None))
            continue
        if last is not None and row.ts < last:
            raise CommandError(f"Line {row.line} is earlier than a line before it; --stream needs them in order.")
        point = Point(row.ts, row.value)
        if row.ts == last:
            counts.repeated += 1
            yield row, detector.compare(point)
        else:
            yield row, detector.observe(point)
        last = row.ts
