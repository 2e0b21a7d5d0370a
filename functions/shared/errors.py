"""Every error Weir raises on purpose, named by what the caller should do.

WeirError
├── Reject            never send this again as it is            -> 4xx, event failed
│   ├── BadRequest        the request as a whole cannot be read     400
│   ├── NotFound          there is no such thing                    404
│   ├── TooLarge          over a limit, which is named              413
│   ├── Unsupported       a media type or encoding not known        415
│   └── Unprocessable     stored, and found bad by processing       422
├── Retry             send the same again later                 -> 503 + Retry-After, batchItemFailures
│   ├── QueueUnavailable  the broker did not acknowledge
│   ├── StoreUnavailable  the store did not answer, or timed out
│   └── FunctionUnavailable  another function did not answer
├── StoreRefused      the store will never take this block      -> bisect, the culprit is failed
└── Misconfigured     a setting is missing or wrong             -> the function does not start
"""

from collections.abc import Sequence
from typing import Any


class WeirError(Exception):
    """The root of every error raised on purpose."""


class Reject(WeirError):
    """Never send this again as it is. ``code`` is stable; ``errors`` go into the problem answer."""

    status = 400
    title = "Bad request"

    def __init__(self, code: str, detail: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)


class BadRequest(Reject):
    """The request as a whole cannot be read."""


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

    def __init__(self, detail: str, after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.after_seconds = after_seconds


class QueueUnavailable(Retry):
    """The broker did not acknowledge: nothing may be promised to the client."""


class StoreUnavailable(Retry):
    """The store did not answer, or not in time."""


class FunctionUnavailable(Retry):
    """Another function did not answer, or not in time."""


class StoreRefused(WeirError):
    """The store will never take this block as it is; the message is the store's reason, without values."""


class Misconfigured(WeirError):
    """A setting is missing or wrong; the message names it."""
