"""The connection to ClickHouse over HTTP that all of its adapters share, and what may go wrong on it."""

import logging
import random
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

from functions.shared.settings import StoreSettings

T = TypeVar("T")
_log = logging.getLogger("weir.clickhouse")
_CONNECT_SECONDS = 3
# On a cluster: an insert is on most replicas before it is answered, and a read knows all such inserts.
_QUORUM = {"insert_quorum": "auto", "insert_quorum_parallel": 0}
_SEQUENTIAL = {"select_sequential_consistency": 1}
# UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE: of a table one insert at a time awaits its quorum, and others are refused.
_NOT_ITS_TURN = 286
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 0.5
# Of what the store gives a statement. A block has five inserts and at times a salt, each of which may have to wait, and
# all of them together no longer than half of what its function has.
_SHARE = 0.25
# What the store refuses to everybody who is set up like this.
_SET_BY = {
    "ACCESS_DENIED": ": look at WEIR_CLICKHOUSE_USER",
    "AUTHENTICATION_FAILED": ": look at WEIR_CLICKHOUSE_USER and WEIR_CLICKHOUSE_PASSWORD",
    "UNKNOWN_DATABASE": ": look at WEIR_CLICKHOUSE_DATABASE",
}
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]{2,})\)")


class ClickHouseLink:
    """One for a process: several threads may use it, and it connects on first use.

    ``answer_seconds`` is for how long an answer may stay away: more than the store itself gives a statement.
    """

    def __init__(
        self, url: str, database: str, user: str, password: str, answer_seconds: float, *, compress: bool = True
    ) -> None:
        self._options: dict[str, Any] = {
            "dsn": url,
            "database": database,
            "username": user,
            "password": password,
            "compress": compress,
        }
        self._answer_seconds = answer_seconds
        self._client: Any = None
        self._guard = threading.Lock()

    @classmethod
    def of(cls, settings: StoreSettings, answer_seconds: float, *, compress: bool = True) -> "ClickHouseLink":
        """The connection that the settings name."""
        return cls(
            settings.clickhouse_url,
            settings.clickhouse_database,
            settings.clickhouse_user,
            settings.clickhouse_password,
            answer_seconds,
            compress=compress,
        )

    def client(self) -> Any:
        """The driver's client. Raises one of :func:`failures` where no store answers."""
        with self._guard:
            if self._client is None:
                # Imported here: it takes a quarter of a second that a health check need not wait for.
                from clickhouse_connect import get_client

                self._client = get_client(
                    **self._options,
                    autogenerate_session_id=False,
                    connect_timeout=_CONNECT_SECONDS,
                    send_receive_timeout=self._answer_seconds,
                )
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None


class Turns:
    """Lets an insert wait for its turn: it is tried again while others of its table await their quorum.

    It is to carry a token, since of several partitions some may be there already; then it may be run again. It waits no
    longer than ``seconds``. ``chance`` is from 0 to 1: writers that were refused together would else meet again.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._seconds, self._clock, self._sleep, self._chance = seconds, clock, sleep, chance

    @classmethod
    def of(cls, settings: StoreSettings) -> "Turns":
        """Those of one of several inserts that belong together."""
        return cls(settings.clickhouse_timeout_seconds * _SHARE)

    def take(self, insert: Callable[[], T]) -> T:
        """Run it. Raises what it raises; one of :func:`failures` also where its turn did not come in time."""
        until, longest = self._clock() + self._seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return insert()
            except failures() as error:
                pause = self._chance() * longest
                if getattr(error, "code", None) != _NOT_ITS_TURN or self._clock() + pause > until:
                    raise
            self._sleep(pause)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)


def agreed(settings: StoreSettings) -> dict[str, Any]:
    """What a statement that writes carries so that no server that dies takes it along; nothing without a cluster."""
    return dict(_QUORUM) if settings.clickhouse_cluster else {}


def current(settings: StoreSettings) -> dict[str, Any]:
    """What a statement that reads carries so as to see all that was written before; nothing without a cluster."""
    return dict(_SEQUENTIAL) if settings.clickhouse_cluster else {}


@cache
def failures() -> tuple[type[Exception], ...]:
    """What the store, the driver and the network raise. An answer that broke off, or that is of something else than a
    store, is no JSON, or not packed as it says: the driver lets through what its parsers and lz4 raise then.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError
    from urllib3.exceptions import HTTPError

    return (ClickHouseError, HTTPError, OSError, RuntimeError, ValueError, msgspec.DecodeError)


def named(error: Exception) -> str:
    """The store's name of an error, or nothing. Never its words: they may quote values that a client sent."""
    names: list[str] = _NAME.findall(str(error))
    return names[-1] if names else ""


def told(error: Exception, what: str) -> str:
    """Log an error by its names, and what setting it may come of; return the store's."""
    name = named(error)
    _log.warning("%s: %s %s%s", what, type(error).__name__, name, _SET_BY.get(name, ""))
    return name
