"""The salts of days, in the one place that every function knows. The store itself removes them when they are old.

Of several who make a day's salt at once the first one's stays: all insert under the same token, of which the store
takes one insert; then all read what is there.
"""

import json
import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from functions.shared.adapters.clickhouse_link import ClickHouseLink, Turns, agreed, current, failures, told
from functions.shared.domain import visitors
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings

_READ = "SELECT salt FROM visitor_salts WHERE day = {day:Date} ORDER BY made_at LIMIT 1"
_EPOCH = date(1970, 1, 1)
_GRACE_SECONDS = 3


class ClickHouseSalts:
    """Several threads may use it. ``clock`` is nanoseconds, ``random_bytes`` a secure source."""

    def __init__(self, settings: StoreSettings, clock: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        self._settings, self._clock, self._random_bytes = settings, clock, random_bytes
        self._known: dict[int, bytes] = {}
        self._link = ClickHouseLink.of(settings, settings.clickhouse_timeout_seconds + _GRACE_SECONDS)
        self._guard = threading.Lock()

    def of(self, received_at: int) -> bytes:
        """See the port."""
        day, today = visitors.day(received_at), visitors.day(self._clock())
        with self._guard:
            self._known = {one: salt for one, salt in self._known.items() if visitors.has_salt(one, today)}
            if not visitors.has_salt(day, today):
                return b""
            if day not in self._known:
                self._known[day] = self._shared(day)
            return self._known[day]

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _shared(self, day: int) -> bytes:
        try:
            salt = self._read(day)
            if not salt:
                self._offer(day, self._random_bytes(visitors.SALT_BYTES))
                salt = self._read(day)
        except failures() as error:
            told(error, "the salt of the day")
            # Not with its text, in which a salt may be, nor with itself, which a log would quote.
            raise StoreUnavailable("The store gave no salt of the day.", 2) from None
        if not salt:
            raise StoreUnavailable("The store did not keep the salt of the day.", 2)
        return salt

    def _read(self, day: int) -> bytes:
        settings = {**self._bounded(), **current(self._settings)}
        rows = self._link.client().query(_READ, parameters={"day": _date(day)}, settings=settings).result_rows
        return bytes.fromhex(rows[0][0]) if rows else b""

    def _offer(self, day: int, salt: bytes) -> None:
        once = {"insert_deduplication_token": f"visitor-salt-{day}", "async_insert": 0}
        settings = {**once, **self._bounded(), **agreed(self._settings)}
        row = json.dumps([_date(day), salt.hex()]).encode()
        client, how = self._link.client(), {"settings": settings, "fmt": "JSONCompactEachRow"}
        turns = Turns.of(self._settings)
        turns.take(lambda: client.raw_insert("visitor_salts", ["day", "salt"], row, **how))

    def _bounded(self) -> dict[str, Any]:
        return {"max_execution_time": self._settings.clickhouse_timeout_seconds}


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
