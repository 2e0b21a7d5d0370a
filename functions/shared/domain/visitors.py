"""Visitors without a cookie: who sends from the same address with the same browser is one, for a day.

The id is a keyed hash. When the day's salt is gone, nobody can make it again or tell whose it was, and the next day's
cannot be linked to it.
"""

import hashlib
from typing import Literal

Mode = Literal["sent", "daily"]
SALT_BYTES = 32
# Salts are kept for the day and the next, for what is still in the queue or comes again.
DAYS_KEPT = 2
PREFIX = "day:"
_DAY = 86_400 * 1_000_000_000
_ID_BYTES = 16


def day(at: int) -> int:
    """The UTC day of nanoseconds since the epoch, counted from there."""
    return at // _DAY


def has_salt(of: int, today: int) -> bool:
    """Whether a day has a salt still; the clocks of two hosts may have another day around midnight."""
    return today - DAYS_KEPT < of <= today + 1


def daily_id(salt: bytes, environment: str, ip: str, user_agent: str) -> str:
    """The visitor of a day, from the whole address in its canonical form; no part before the last has a line break."""
    text = f"{environment}\n{ip}\n{user_agent}".encode("utf-8", "surrogatepass")
    return PREFIX + hashlib.blake2b(text, key=salt, digest_size=_ID_BYTES).hexdigest()
