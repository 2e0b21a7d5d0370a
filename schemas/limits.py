"""The limits of what a client may send. Each is a setting; the defaults are the public contract."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a request and on one event. Sizes are bytes of UTF-8, lengths are characters."""

    request_bytes: int = 4 * 1024 * 1024
    inflated_bytes: int = 16 * 1024 * 1024
    batch_events: int = 5_000
    event_bytes: int = 64 * 1024
    nesting_levels: int = 16
    key_characters: int = 256
    string_characters: int = 16 * 1024
