"""Runs a request on a connection: as a streamed insert, as a streamed result, or whole."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from . import sql
from .errors import READONLY, SYNTAX_ERROR, DoorError, EngineError
from .request import Request

# Formats without a head or a foot: the engine's pieces of a result, one after the other, are the whole.
_STREAMABLE = {
    "Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "JSONEachRow", "NDJSON",
    "JSONLines", "JSONCompactEachRow", "TSKV", "LineAsString",
}  # fmt: skip
# Formats whose bytes the engine cannot take inside a statement.
_BINARY = {
    "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "RowBinaryWithDefaults", "Arrow",
    "ArrowStream", "Parquet", "ORC", "Avro", "MsgPack", "Protobuf", "BSONEachRow", "CapnProto",
}  # fmt: skip
_STREAMED_WORDS = {b"SELECT", b"WITH"}


@dataclass(frozen=True)
class Answer:
    """What goes back: one piece of a known size, or pieces to come."""

    format: str | None
    summary: str
    whole: bytes | memoryview | None = None
    pieces: Generator[bytes] | None = None


def run(connection: Any, request: Request, first: bytes, rest: Iterator[bytes]) -> Answer:
    """Run one request; `first` is the start of its body, `rest` the remainder, not read yet."""
    text = b"\n".join(part for part in (request.query, first) if part)
    if not text.strip():
        raise DoorError(SYNTAX_ERROR, "SYNTAX_ERROR", "Empty query")
    head = sql.insert_head(text)
    if head is not None and not request.read_only and not request.parameters:
        if head.format in _BINARY:
            return _insert_streamed(connection, head, text[head.data_at :], rest)
        return _insert(connection, b"".join((text, *rest)), request)
    text = b"".join((text, *rest))
    _check(connection, request, text)
    chosen = sql.result_format(text) or request.default_format
    plain = sql.result_format(text) is not None or not sql.mentions_format(text)
    streams = plain and chosen in _STREAMABLE and sql.leading_word(text) in _STREAMED_WORDS
    if streams and not request.wait_end_of_query:
        return _stream(connection, request, text, chosen)
    return _whole(connection, request, text, chosen)


def _check(connection: Any, request: Request, text: bytes) -> None:
    """Refuse several statements at once, and writes by GET, as ClickHouse does."""
    if not request.read_only and not sql.may_hold_several(text):
        return
    kind = connection.classify_query(text.decode("utf-8", "replace"))
    if kind["statement_count"] > 1:
        raise DoorError(SYNTAX_ERROR, "SYNTAX_ERROR", "Multi-statements are not allowed")
    if request.read_only and kind["query_class"].name not in ("READ_ONLY", "UNKNOWN"):
        raise DoorError(READONLY, "READONLY", "Cannot execute query in readonly mode: GET implies it")


def _insert(connection: Any, text: bytes, request: Request) -> Answer:
    """Run an insert together with its data.

    The engine's streamed insert is quicker to feed, but keeps silent about what fails behind the parser (a column's
    DEFAULT, for one): it answers success and writes nothing. An insert that is acknowledged has to be there.
    """
    try:
        done = connection.query(text, request.default_format)
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    written = (done.rows_written(), done.bytes_written())
    return Answer(None, _summary(written=written, elapsed=done.elapsed()), b"")


def _insert_streamed(connection: Any, head: sql.InsertHead, first: bytes, rest: Iterator[bytes]) -> Answer:
    """Feed the data to the engine as it arrives: nothing is copied twice, and nothing is kept."""
    try:
        insert = connection.send_insert(head.statement, head.format)
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    try:
        if first:
            connection.insert_append(insert, first)
        for piece in rest:
            connection.insert_append(insert, piece)
    except RuntimeError as error:
        connection.insert_cancel(insert)
        raise EngineError(str(error)) from error
    except BaseException:
        connection.insert_cancel(insert)
        raise
    try:
        done = connection.insert_done(insert)
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    written = (done.rows_written(), done.bytes_written())
    return Answer(None, _summary(written=written, elapsed=done.elapsed()), b"")


def _whole(connection: Any, request: Request, text: bytes, chosen: str) -> Answer:
    try:
        result = connection.query(text, request.default_format, params=request.parameters)
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    body = result.bytes()
    summary = _summary(
        read=(result.storage_rows_read(), result.storage_bytes_read()),
        written=(result.rows_written(), result.bytes_written()),
        result=(result.rows_read(), len(body)),
        elapsed=result.elapsed(),
    )
    return Answer(chosen if body or sql.has_result(text) else None, summary, body)


def _stream(connection: Any, request: Request, text: bytes, chosen: str) -> Answer:
    """Start the query and wait for its first pieces: one that fails at once is told so by its status."""
    try:
        result = connection.send_query(text.decode(), request.default_format, params=request.parameters)
        first = _fetch(connection, result)
        second = _fetch(connection, result) if first else b""
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    except UnicodeDecodeError:
        return _whole(connection, request, text, chosen)
    if not second:
        return Answer(chosen, _summary(), first)
    return Answer(chosen, _summary(), pieces=_pieces(connection, result, first, second))


def _pieces(connection: Any, result: Any, *ready: bytes) -> Generator[bytes]:
    try:
        yield from ready
        while piece := _fetch(connection, result):
            yield piece
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    except GeneratorExit:
        # The reader went away: stop the query, nobody wants the rest.
        connection.streaming_cancel_query(result)
        raise


def _fetch(connection: Any, result: Any) -> bytes:
    piece = connection.streaming_fetch_result(result)
    if piece is None or piece.rows_read() == 0:
        return b""
    data: bytes = piece.bytes()
    return data


def _summary(
    read: tuple[int, int] = (0, 0),
    written: tuple[int, int] = (0, 0),
    result: tuple[int, int] = (0, 0),
    elapsed: float = 0.0,
) -> str:
    """The X-ClickHouse-Summary header: numbers as text, as ClickHouse writes them."""
    names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_rows", "result_bytes")
    values = dict(zip(names, map(str, (*read, *written, *result)), strict=True))
    return json.dumps({**values, "total_rows_to_read": "0", "elapsed_ns": str(int(elapsed * 1e9))})
