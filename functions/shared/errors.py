"""Every error Weir raises on purpose, named by what the caller should do.

WeirError
├── Reject            never send this again as it is            -> 4xx, event failed
│   ├── BadRequest        the request as a whole cannot be read     400
│   ├── Unauthorized      no key, or one that is not taken          401
│   ├── Forbidden         the key may not do this                   403
│   ├── NotFound          there is no such thing                    404
│   ├── TooLarge          over a limit, which is named              413
│   ├── Unsupported       a media type or encoding not known        415
│   └── Unprocessable     stored, and found bad by processing       422
├── Retry             send the same again later                 -> 503 + Retry-After, batchItemFailures
│   ├── QueueUnavailable  the broker did not acknowledge
│   ├── StoreUnavailable  the store did not answer, or timed out
│   ├── FunctionUnavailable  another function did not answer
│   ├── KeysUnavailable   the keys cannot be looked up
│   ├── RateLimited       too much at once, of one client           429
│   ├── QuotaExceeded     too much in one day, of one key           429
│   ├── Overloaded        too much waits in the queue already
│   ├── LimiterUnavailable  nobody counts                           never told: it is let through
│   └── SinkUnavailable   nobody took a notification
├── SinkRefused       this notification was not taken  -> others may be; tried again for a while
├── Conflict          somebody else was faster              -> read it anew, decide anew
├── StoreRefused      the store will never take this block      -> bisect, the culprit is failed
└── Misconfigured     a setting is missing or wrong             -> the function does not start
"""

from collections.abc import Mapping, Sequence
from typing import Any


class WeirError(Exception):
    """The root of every error raised on purpose. ``key_id``: whose request it refuses, where that is for the log."""

    key_id = ""


class Reject(WeirError):
    """Never send this again as it is. ``code`` is stable; ``errors`` go into the problem answer."""

    status = 400
    title = "Bad request"
    headers: Mapping[str, str] = {}

    def __init__(self, code: str, detail: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)


class BadRequest(Reject):
    """The request as a whole cannot be read."""


class Unauthorized(Reject):
    """There is no key, or it is not one that is taken."""

    status = 401
    title = "Unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="weir"'}


class Forbidden(Reject):
    """The key is known, and may not do this."""

    status = 403
    title = "Forbidden"


class NotFound(Reject):
    """There is no such thing (or not yet)."""

    status = 404
    title = "Not found"


class TooLarge(Reject):
    """Over a limit; the detail says which."""

    status = 413
    title = "Too large"


class Unsupported(Reject):
    """A media type or an encoding that is not known."""

    status = 415
    title = "Unsupported media type"


class Unprocessable(Reject):
    """It was read and stored, and processing found it bad."""

    status = 422
    title = "Unprocessable"


class Retry(WeirError):
    """Send the same again, ``after_seconds`` from now."""

    status = 503
    title = "Service unavailable"

    def __init__(self, detail: str, after_seconds: int = 1, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.after_seconds = after_seconds
        self.headers = headers or {}


class RateLimited(Retry):
    """Too much at once, of one client."""

    status = 429
    title = "Too many requests"


class QuotaExceeded(Retry):
    """Too much in one day, of one key."""

    status = 429
    title = "Too many events"


class Overloaded(Retry):
    """Too much waits already: nothing of this was accepted."""


class LimiterUnavailable(Retry):
    """Nobody counts; what is limited is let through."""


class QueueUnavailable(Retry):
    """The broker did not acknowledge: nothing may be promised to the client."""


class StoreUnavailable(Retry):
    """The store did not answer, or not in time."""


class FunctionUnavailable(Retry):
    """Another function did not answer, or not in time."""


class KeysUnavailable(Retry):
    """The keys cannot be looked up: nobody can be told from anybody."""


class SinkUnavailable(Retry):
    """Nobody took a notification, and would take no other now; the message names no address."""


class SinkRefused(WeirError):
    """A notification was not taken, which says nothing of others; the message names no address."""


class Conflict(WeirError):
    """What was to be replaced is no longer what was read."""


class StoreRefused(WeirError):
    """The store will never take this block as it is; the message is the store's reason, without values."""


class Misconfigured(WeirError):
    """A setting is missing or wrong; the message names it."""
