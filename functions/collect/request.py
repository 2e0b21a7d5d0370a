"""What collect takes from an HTTP request, free of any framework, and how its body becomes events."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from functions.shared.domain.consent import Signal
from functions.shared.domain.keys import NOBODY, Key
from functions.shared.errors import BadRequest, TooLarge, Unsupported
from schemas.limits import Limits
from schemas.splitting import BodyError, Split, single, split_batch, split_ndjson

GZIP_MAGIC = b"\x1f\x8b"
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_JSON = frozenset({"", "application/json", "text/plain", "application/gzip", "application/octet-stream"})


class CollectRequest(NamedTuple):
    """One write request, with the key that it was let in by."""

    body: bytes
    content_type: str = ""
    idempotency_key: str = ""
    key: Key = NOBODY
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    signal: Signal = ""


def inflate(body: bytes, limits: Limits) -> bytes:
    """The body, inflated when its first bytes are gzip's, whatever the headers claim.

    Raises :class:`TooLarge` past either limit and :class:`BadRequest` for a broken stream.
    """
    if len(body) > limits.request_bytes:
        raise TooLarge("request_too_large", f"The request is over the limit of {limits.request_bytes} bytes as sent.")
    if body[:2] != GZIP_MAGIC:
        return body
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, limits.inflated_bytes + 1)
    except zlib.error as error:
        raise BadRequest("broken_gzip", "The body starts like gzip but cannot be inflated.") from error
    if len(plain) > limits.inflated_bytes:
        raise TooLarge("inflated_too_large", f"The body is over the limit of {limits.inflated_bytes} bytes inflated.")
    if not stream.eof:
        raise BadRequest("truncated_gzip", "The gzip body ends before its end mark.")
    if stream.unused_data:
        raise BadRequest("broken_gzip", "There is something after the end of the gzip body.")
    return plain


def read_batch(request: CollectRequest, limits: Limits) -> Split:
    """The events of a batch request. Raises :class:`BadRequest`, :class:`TooLarge`, :class:`Unsupported`."""
    ndjson = _is_ndjson(request.content_type)
    split = _read(split_ndjson if ndjson else split_batch, inflate(request.body, limits))
    if not split.events:
        raise BadRequest("empty_batch", "The batch holds no events.")
    if len(split.events) > limits.batch_events:
        raise TooLarge(
            "too_many_events", f"The batch holds {len(split.events)} events; the limit is {limits.batch_events}."
        )
    return split


def read_single(request: CollectRequest, limits: Limits) -> Split:
    """The one event of a single request. Raises as :func:`read_batch`."""
    _is_ndjson(request.content_type)
    return _read(single, inflate(request.body, limits))


def _is_ndjson(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _NDJSON:
        return True
    if media_type not in _JSON:
        raise Unsupported(
            "unsupported_media_type",
            f"Send application/json, application/x-ndjson or text/plain, not {media_type[:80]}.",
        )
    return False


def _read(cut: Callable[[bytes], Split], body: bytes) -> Split:
    try:
        return cut(body)
    except BodyError as error:
        raise BadRequest(error.code, str(error)) from error
