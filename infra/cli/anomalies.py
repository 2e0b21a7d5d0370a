"""`weir anomalies`: the detector over any series of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from functions.measure.anomalies.judgement import Judgement
    from infra.cli.scoring.rows import Row


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Find what is out of the ordinary in a series of numbers.")
    group.command()(score)
    # A second command keeps `score` a name instead of the whole group.
    group.callback()(_group)
    app.add_typer(group, name="anomalies")


def _group() -> None:
    """Find what is out of the ordinary in a series of numbers."""


def score(
    file: Annotated[str, typer.Argument(help="A CSV file with the columns timestamp and value; - reads from a pipe.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, with the band and severity too.")] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each row as soon as it is read; rows must be in order of time.")
    ] = False,
) -> None:
    """Judge each row of a series from the rows before it in time.

    The file's first line names its columns; timestamp and value are read, others ignored. A timestamp is RFC 3339,
    'YYYY-MM-DD HH:MM:SS' (read as UTC), or a number: seconds since 1970, or milliseconds, microseconds or nanoseconds
    by its size. The interval is found out. Courses of the day and the week are learnt as they are seen.

    Printed are timestamp,value,score,is_anomaly in the order and the words of the file. The score is in 0-1; from 0.5
    it is an anomaly. A row without a value (empty, NaN, null) has no score. Of rows with one timestamp only the first
    is learnt from, and all are judged. What was passed over is counted on standard error; what cannot be read ends
    the command with status 1 and the line's number.

    Examples:

    \b
    weir anomalies score requests_per_hour.csv
    weir anomalies score --json cpu.csv | jq '.rows[] | select(.is_anomaly)'
    tail -f -n +1 live.csv | weir anomalies score --stream -
    """
    import sys

    from infra.cli import client

    with client.telling():
        try:
            if file == "-":
                _score(sys.stdin, "standard input", as_json=as_json, stream=stream)
            else:
                with open(file, encoding="utf-8-sig", newline="") as text:
                    _score(text, file, as_json=as_json, stream=stream)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read has enough (`head`): no fault, and nothing more to flush to.
            _forget_output()
        except UnicodeDecodeError as error:
            raise client.CommandError(f"{file}: is no UTF-8 text (byte {error.start}).") from error


def _score(text: TextIO, name: str, *, as_json: bool, stream: bool) -> None:
    import sys

    from infra.cli import client
    from infra.cli.scoring.judging import in_order, sorted_first
    from infra.cli.scoring.rows import Counts, read

    if as_json and stream:
        raise client.CommandError("--json prints one document at the end and --stream row by row: choose one.")
    counts = Counts()
    rows = read(text, name)
    judged = in_order(rows, counts) if stream else sorted_first(rows, counts)
    if as_json:
        client.show_json({"rows": [_document(row, found) for row, found in judged], **counts._asdict()})
    else:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("timestamp", "value", "score", "is_anomaly"))
        for row, found in judged:
            told = "" if row.value is None else f"{found.score:.4f}"
            writer.writerow((row.timestamp_text, row.value_text, told, "true" if found.is_anomaly else "false"))
            if stream:
                sys.stdout.flush()
    if sentence := counts.sentence():
        print(sentence, file=sys.stderr)


def _document(row: Row, found: Judgement) -> dict[str, object]:
    return {
        "timestamp": row.timestamp_text,
        "value": row.value,
        "score": None if row.value is None else round(found.score, 4),
        "is_anomaly": found.is_anomaly,
        "expected": found.expected,
        "lower": found.lower,
        "upper": found.upper,
        "severity": found.severity,
        "run": found.run,
    }


def _forget_output() -> None:
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
