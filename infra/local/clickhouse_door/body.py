"""Request bodies: read with a bound, piece by piece, and inflated on the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd

from .errors import BAD_ARGUMENTS, CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_MANY_BYTES, DoorError

PIECE_BYTES = 1 << 20
_LINE_BYTES = 4096
_GZIP_WINDOW = 31
# What the libraries raise on damaged data; lz4's is a plain RuntimeError.
_DAMAGED = (zlib.error, zstd.ZstdError, RuntimeError, EOFError)


class Inflater(Protocol):
    """An incremental decompressor that can be told how much to give out at once."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Body:
    """A request's body as pieces of bytes; knows whether it was read to its end."""

    def __init__(self, stream: BufferedIOBase, headers: Message, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.finished = False
        length = headers.get("Content-Length")
        if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
            self._raw = self._chunked(stream)
        else:
            self._raw = self._sized(stream, self._content_length(length))
        self.encoding = (headers.get("Content-Encoding") or "").strip().lower()

    def pieces(self) -> Iterator[bytes]:
        """The body, inflated if it came compressed."""
        if self.encoding in ("", "identity"):
            return self._raw
        return _inflate(self._raw, self.encoding, self._limit)

    def drain(self) -> bool:
        """Read what is left, so that the connection can serve the next request; False if it cannot."""
        try:
            for _ in self._raw:
                pass
        except (DoorError, OSError):
            return False
        return self.finished

    def _content_length(self, header: str | None) -> int:
        if header is None:
            return 0
        if not header.isdecimal():
            raise DoorError(BAD_ARGUMENTS, "BAD_ARGUMENTS", f"Invalid Content-Length {header!r}")
        return int(header)

    def _sized(self, stream: BufferedIOBase, length: int) -> Iterator[bytes]:
        if length > self._limit:
            raise too_large(self._limit)
        left = length
        while left:
            piece = stream.read(min(left, PIECE_BYTES))
            if not piece:
                raise ConnectionResetError("the body ended early")
            left -= len(piece)
            self.finished = left == 0
            yield piece
        self.finished = True

    def _chunked(self, stream: BufferedIOBase) -> Iterator[bytes]:
        total = 0
        while size := _chunk_size(stream.readline(_LINE_BYTES)):
            total += size
            if total > self._limit:
                raise too_large(self._limit)
            piece = stream.read(size)
            if len(piece) < size:
                raise ConnectionResetError("the body ended early")
            stream.readline(_LINE_BYTES)
            yield piece
        while stream.readline(_LINE_BYTES).strip():
            pass
        self.finished = True


def too_large(limit_bytes: int) -> DoorError:
    return DoorError(TOO_MANY_BYTES, "TOO_MANY_BYTES", f"The request body is larger than {limit_bytes} bytes")


def gather(pieces: Iterator[bytes], at_least: int) -> bytes:
    """Join the first pieces until there are `at_least` bytes or no more."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= at_least:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _chunk_size(line: bytes) -> int:
    if not line:
        raise ConnectionResetError("the body ended early")
    try:
        return int(line.split(b";", 1)[0], 16)
    except ValueError as error:
        raise DoorError(BAD_ARGUMENTS, "BAD_ARGUMENTS", "Invalid chunk size in the request body") from error


def _inflater(encoding: str) -> Inflater:
    if encoding == "gzip":
        return zlib.decompressobj(_GZIP_WINDOW)
    if encoding == "deflate":
        return zlib.decompressobj()
    if encoding == "zstd":
        return zstd.ZstdDecompressor()
    if encoding == "lz4":
        decompressor: Inflater = lz4.frame.LZ4FrameDecompressor()
        return decompressor
    raise DoorError(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"Unknown Content-Encoding {encoding!r}")


def _inflate(raw: Iterator[bytes], encoding: str, limit_bytes: int) -> Iterator[bytes]:
    """Inflate frame after frame (compressors may write several), never more than a piece at once."""
    inflater, total, started = _inflater(encoding), 0, False
    for piece in raw:
        data = piece
        while data:
            if inflater.eof:
                inflater = _inflater(encoding)
            started = True
            for out in _outputs(inflater, data, encoding):
                total += len(out)
                if total > limit_bytes:
                    raise too_large(limit_bytes)
                yield out
            data = inflater.unused_data if inflater.eof else b""
    if started and not inflater.eof:
        raise _corrupt(encoding)


def _outputs(inflater: Inflater, data: bytes, encoding: str) -> Iterator[bytes]:
    """What one piece inflates to, in pieces of bounded size (a bomb is noticed before it fills memory)."""
    while True:
        try:
            out = inflater.decompress(data, PIECE_BYTES)
        except _DAMAGED as error:
            raise _corrupt(encoding) from error
        data = getattr(inflater, "unconsumed_tail", b"")
        if out:
            yield out
        if inflater.eof or (len(out) < PIECE_BYTES and not data):
            return


def _corrupt(encoding: str) -> DoorError:
    return DoorError(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"The {encoding} body is damaged or cut short")
