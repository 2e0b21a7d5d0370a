"""Pages as JSON, NDJSON or CSV, and the choice between them."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec

from functions.serve.params import Params
from functions.serve.shapes import Shape
from functions.shared.edge import Answer

Media = Literal["application/json", "application/x-ndjson", "text/csv"]
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_LONGEST_LINK = 4000
# A Lambda function's answer is 6 MB of JSON, in which the body is one string.
TRANSPORT_BYTES = 5_900_000


class Page(NamedTuple):
    """One page, each event already in its final form."""

    lines: list[bytes]
    next_cursor: str | None
    has_more: bool


def media_of(accept: str) -> Media:
    """The form a client prefers: the first it names that we have (by ``q``), JSON when there is none."""
    wanted: list[tuple[float, Media]] = []
    for part in accept.lower().split(","):
        name, *rest = (piece.strip() for piece in part.split(";"))
        quality = next((_quality(piece[2:]) for piece in rest if piece.startswith("q=")), 1.0)
        if name in _NDJSON:
            wanted.append((quality, "application/x-ndjson"))
        elif name == "text/csv":
            wanted.append((quality, "text/csv"))
        elif name in ("application/json", "application/*", "*/*"):
            wanted.append((quality, "application/json"))
    best = max(wanted, key=lambda one: one[0], default=(0.0, None))
    return best[1] if best[1] is not None and best[0] > 0 else "application/json"


def line(media: Media, shape: Shape, values: Sequence[Any]) -> bytes:
    """One event in its final form; JSON is without what separates it from the next."""
    if media != "text/csv":
        return msgspec.json.encode(shape.event(values))
    return csv_line(shape.flat(values))


def csv_line(cells: Sequence[str]) -> bytes:
    """One line of RFC 4180. Values are given as they are: a cell that looks like a formula stays so."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


def answer(media: Media, page: Page, shape: Shape, path: str, params: Params) -> Answer:
    """The page as HTTP."""
    headers = {"Content-Type": media if media == "application/json" else f"{media}; charset=utf-8"}
    headers["Vary"] = "Accept"
    if page.next_cursor:
        headers["X-Next-Cursor"] = page.next_cursor
        headers |= _link(path, params, page.next_cursor)
    if media == "text/csv":
        body = b"".join((csv_line(shape.columns), *page.lines))
    elif media == "application/x-ndjson":
        body = b"".join(one + b"\n" for one in page.lines)
    else:
        tail = msgspec.json.encode({"next_cursor": page.next_cursor, "has_more": page.has_more})
        body = b'{"events":[' + b",".join(page.lines) + b"]," + tail[1:]
    headers["X-Has-More"] = "true" if page.has_more else "false"
    return Answer(200, body.decode(), headers)


def transport_size(text: bytes) -> int:
    """The bytes a line takes inside the JSON in which a Lambda function hands its body over."""
    return len(text) + text.count(b'"') + text.count(b"\\")


def _link(path: str, params: Params, cursor: str) -> dict[str, str]:
    pairs = [(name, value) for name, values in params.items() if name != "cursor" for value in values]
    target = f"{path}?{urlencode([*pairs, ('cursor', cursor)])}"
    return {"Link": f'<{target}>; rel="next"'} if len(target) <= _LONGEST_LINK else {}


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
