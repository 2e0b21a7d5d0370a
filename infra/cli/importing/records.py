"""The records of a file: its hash, how many there are, and one after the other, compressed or not."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from infra.cli.client import CommandError
from infra.cli.importing import access_log, csv_rows, ndjson

_CHUNK = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_CSV_FIELD_BYTES = 16 * 1024 * 1024


class Record(NamedTuple):
    """One event to send, the line of the file it ends at, and the beginning of what stood there."""

    line: int
    body: bytes
    excerpt: str


class Source(NamedTuple):
    """A file that was read once: the SHA-256 of its content, inflated, and its number of lines."""

    path: Path
    sha256: str
    lines: int


FORMATS = ("access-log", "ndjson", "csv")
_EXCERPT = 200


def survey(path: Path, told: Callable[[int], None] = lambda _: None) -> Source:
    """Read the whole file once, so that a broken one is known before anything is sent.

    The hash is of the content: a log means the same lines before and after it was compressed.
    """
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    try:
        with _open(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                lines += chunk.count(b"\n")
                last = chunk[-1:]
                told(len(chunk))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CommandError(f"{path} is not a whole gzip file: {error}.") from error
    return Source(path, digest.hexdigest(), lines + (last != b"\n"))


def records(source: Source, file_format: str, skip: int, site: str) -> Iterator[Record]:
    """The events of a file after the first ``skip``, which are not even looked at."""
    if file_format == "csv":
        yield from _csv(source, skip)
        return
    done = 0
    with _open(source.path) as file:
        for number, raw in enumerate(file, 1):
            line = raw.strip()
            if not line:
                continue
            done += 1
            if done > skip:
                made = (
                    access_log.event(line, source.sha256, number, site)
                    if file_format == "access-log"
                    else ndjson.event(line, source.sha256, number)
                )
                yield Record(number, made, _excerpt(line.decode(errors="backslashreplace")))


def _csv(source: Source, skip: int) -> Iterator[Record]:
    csv.field_size_limit(_CSV_FIELD_BYTES)
    with _open(source.path) as file:
        # A byte order mark, as spreadsheets write it, is no part of the first column's name.
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="backslashreplace", newline="")
        rows = csv.reader(text, strict=True)
        try:
            header = csv_rows.Header.of(next(rows, []))
            for done, row in enumerate((row for row in rows if row), 1):
                if done > skip:
                    body = header.event(row, source.sha256, rows.line_num)
                    yield Record(rows.line_num, body, _excerpt(",".join(row)))
        except csv.Error as error:
            raise CommandError(f"{source.path}, line {rows.line_num}: this is no CSV: {error}.") from error


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb")


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
