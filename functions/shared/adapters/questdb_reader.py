"""Queries to QuestDB by PostgreSQL's protocol, the only one of its protocols that binds values."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Lock, Timer
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader

from functions.shared.domain import instants
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.ports import Instant
from functions.shared.settings import SeriesSettings

_DATABASE = "qdb"
_CONNECT_SECONDS = 5
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the protocol's times have no zone
_MICROSECOND = timedelta(microseconds=1)
# What a wrong statement is told from: the same one may be right later.
_PASSING = ("does not exist", "timeout", "timed out", "memory", "busy", "suspended")


class Reader:
    """One connection, made on first use, made again when it broke. One query at a time."""

    def __init__(self, settings: SeriesSettings) -> None:
        self._settings = settings
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._lock = Lock()

    def __del__(self) -> None:
        self._drop()

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See the port."""
        with self._lock:
            kept = self._connection is not None
            try:
                return self._run(sql, values)
            except psycopg.OperationalError as error:
                self._drop()
                if not kept:
                    raise StoreUnavailable("QuestDB does not answer queries") from error
            # The connection was an old one: the server may be well, and only have restarted.
            try:
                return self._run(sql, values)
            except psycopg.OperationalError as error:
                self._drop()
                raise StoreUnavailable("QuestDB does not answer queries") from error

    def _run(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        connection = self._connection = self._connection or self._connect()
        try:
            with _bounded(connection, self._settings.questdb_timeout_seconds):
                cursor = connection.execute(sql.encode(), values or None)
                return cursor.fetchall() if cursor.description else []
        except StoreUnavailable:
            self._drop()
            raise
        except psycopg.OperationalError:
            raise
        except (psycopg.Error, UnicodeError) as error:
            if connection.closed:
                raise psycopg.OperationalError(str(error)) from error
            reason = str(error).strip().partition("\n")[0]
            if any(word in reason for word in _PASSING):
                raise StoreUnavailable(f"QuestDB: {reason}") from error
            raise StoreRefused(f"QuestDB: {reason}") from error

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        settings = self._settings
        connection = psycopg.connect(
            host=urlsplit(settings.questdb_url).hostname,
            port=settings.questdb_pg_port,
            user=settings.questdb_user,
            password=settings.questdb_password,
            dbname=_DATABASE,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            prepare_threshold=None,
        )
        connection.adapters.register_dumper(Instant, _InstantDumper)
        connection.adapters.register_loader("timestamp", _InstantLoader)
        connection.adapters.register_loader("uuid", _TextLoader)
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()


@contextmanager
def _bounded(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Cut the connection when the server is silent for so long: the driver itself would wait for ever.

    Raises :class:`StoreUnavailable` then.
    """
    late = Event()
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut() -> None:
            late.set()
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.OperationalError as error:
            if late.is_set():
                raise StoreUnavailable(f"QuestDB did not answer a query in {seconds:g} s") from error
            raise
        finally:
            timer.cancel()


class _InstantDumper(Dumper):
    """As text, which both of QuestDB's kinds of time understand; a number is in the unit of the column."""

    def dump(self, obj: Any) -> Buffer | None:
        return instants.to_text(int(obj)).encode()


class _InstantLoader(Loader):
    def load(self, data: Buffer) -> int:
        return (datetime.fromisoformat(bytes(data).decode()) - _EPOCH) // _MICROSECOND * 1000


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()
