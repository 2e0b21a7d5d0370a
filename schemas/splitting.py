"""Cutting a request body into its events, each as the bytes that were sent.

Slices are taken without building objects where the body is plain JSON; a body with what JSON itself
does not have but clients send (NaN, a cut emoji) is cut by a tolerant scanner instead.
"""

import json
from typing import NamedTuple

import msgspec

_ABSENT = msgspec.Raw(b"")


class BodyError(ValueError):
    """The body as a whole cannot be read. ``code`` is stable; the text says what and where."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Split(NamedTuple):
    """The events of a body as bytes without line breaks, and the raw JSON of ``sent_at`` beside them."""

    events: list[bytes]
    sent_at: bytes


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]
    sent_at: msgspec.Raw = _ABSENT


_BARE = msgspec.json.Decoder(list[msgspec.Raw])
_WRAPPED = msgspec.json.Decoder(_Batch)


def split_batch(body: bytes) -> Split:
    """Cut ``{"events": […], "sent_at": …}`` or a bare array. Raises :class:`BodyError`."""
    try:
        if body.lstrip()[:1] == b"[":
            return Split(_lines(_BARE.decode(body), body), b"")
        wrapped = _WRAPPED.decode(body)
        return Split(_lines(wrapped.events, body), bytes(wrapped.sent_at))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _split_tolerantly(body)


def split_ndjson(body: bytes) -> Split:
    """Cut newline-delimited JSON; an empty line is no event, a broken one is its own fault later."""
    return Split([line for raw in body.split(b"\n") if (line := raw.strip())], b"")


def single(body: bytes) -> Split:
    """The body as one event. Raises :class:`BodyError` when it is not a JSON object."""
    text = _decode(body)
    value, end = _scan(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise BodyError("malformed_json", f"Unexpected text after the event, at character {end}.")
    if not isinstance(value, dict):
        raise BodyError("not_an_object", "The body must be one event, a JSON object.")
    return Split([_one_line(body.strip())], b"")


def _lines(raws: list[msgspec.Raw], body: bytes) -> list[bytes]:
    lines = list(map(bytes, raws))
    return [_one_line(line) for line in lines] if b"\n" in body or b"\r" in body else lines


def _one_line(event: bytes) -> bytes:
    # Inside a JSON text a line break can only be white space between tokens.
    return event.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in event or b"\r" in event else event


def _split_tolerantly(body: bytes) -> Split:
    text = _decode(body)
    start = _skip(text, 0)
    value, end = _scan(text, start)
    if _skip(text, end) != len(text):
        raise BodyError("malformed_json", f"Unexpected text after the JSON, at character {end}.")
    if isinstance(value, list):
        return Split(_elements(text, start), b"")
    if not isinstance(value, dict) or not isinstance(value.get("events"), list):
        raise BodyError("not_a_batch", 'A batch is {"events": […]}, a bare array, or NDJSON.')
    position = _value_position(text, start, "events")
    sent_at = json.dumps(value["sent_at"]).encode() if "sent_at" in value else b""
    return Split(_elements(text, position), sent_at)


def _elements(text: str, start: int) -> list[bytes]:
    """The elements of the (already checked) JSON array that begins at ``start``."""
    found: list[bytes] = []
    position = _skip(text, start + 1)
    while text[position] != "]":
        _, end = _scan(text, position)
        found.append(_one_line(text[position:end].encode("utf-8")))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _value_position(text: str, start: int, wanted: str) -> int:
    """Where the value of the last key ``wanted`` begins in the (already checked) object at ``start``."""
    found = start
    position = _skip(text, start + 1)
    while text[position] != "}":
        key, end = _scan(text, position)
        position = _skip(text, _skip(text, end) + 1)
        if key == wanted:
            found = position
        _, end = _scan(text, position)
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyError("invalid_utf8", f"The body is not UTF-8 at byte {error.start}.") from error


def _scan(text: str, position: int) -> tuple[object, int]:
    try:
        value: tuple[object, int] = _DECODER.raw_decode(text, position)
        return value
    except json.JSONDecodeError as error:
        raise BodyError("malformed_json", f"{error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise BodyError("too_deep", "The body nests far too deeply to be read.") from error
    except ValueError as error:  # the interpreter's own bound on the digits of an integer
        raise BodyError("integer_too_large", "A number in the body has thousands of digits.") from error


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


_DECODER = json.JSONDecoder()
