"""Rows to QuestDB by its line protocol over HTTP: each request is one transaction, repeated until it is answered."""

import base64
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from questdb.ingress import Buffer, IngressError, IngressErrorCode, Sender, TimestampNanos

from functions.shared.domain.series import SeriesTable
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.settings import SeriesSettings

_REQUEST_BYTES = 4 << 20
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0
_VALUE_CODES = (IngressErrorCode.InvalidUtf8, IngressErrorCode.InvalidName, IngressErrorCode.InvalidTimestamp)
_REFUSED = re.compile(r"code: invalid\b")
_COLUMN = re.compile(r"column: (\w+)")


class Writer:
    """Sends rows. Safe to call again with the same rows: the table's key makes them count once."""

    def __init__(
        self,
        settings: SeriesSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._configuration = _configuration(settings)
        self._url, self._timeout = urlsplit(settings.questdb_url), settings.questdb_timeout_seconds
        named = f"{settings.questdb_user}:{settings.questdb_password}"
        self._authorization = f"Basic {base64.b64encode(named.encode()).decode()}"
        self._retry_seconds, self._clock, self._sleep = settings.questdb_retry_seconds, clock, sleep

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        """See the port."""
        buffer, add = Buffer(), _adder(table)
        for row in rows:
            try:
                add(buffer, row)
            except (TypeError, ValueError, OverflowError) as error:
                raise StoreRefused(f"{table.name}: a value that the protocol cannot carry") from error
            except IngressError as error:
                raise _reason(table, error) from error
            if len(buffer) >= _REQUEST_BYTES:
                self._flush(table, buffer)
        if len(buffer):
            self._flush(table, buffer)

    def write_lines(self, table: SeriesTable, lines: bytes) -> None:
        """See the port. Not by the client, whose buffer takes a row at a time."""
        self._repeat(lambda: self._post(table, lines))

    def _flush(self, table: SeriesTable, buffer: Buffer) -> None:
        def flush() -> None:
            try:
                # A new one each time: a sender that failed, or slept in a frozen process, is not to be trusted.
                with Sender.from_conf(self._configuration) as sender:
                    # By default a flush that fails empties the buffer, and the rows are gone.
                    sender.flush(buffer, clear=False, transactional=True)
                    buffer.clear()
            except IngressError as error:
                raise _reason(table, error) from error

        self._repeat(flush)

    def _repeat(self, send: Callable[[], None]) -> None:
        """Send until it is taken, for as long as is set."""
        deadline, pause = self._clock() + self._retry_seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                send()
                return
            except StoreUnavailable:
                if self._clock() + pause > deadline:
                    raise
            self._sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _post(self, table: SeriesTable, lines: bytes) -> None:
        headers = {"Authorization": self._authorization, "Content-Type": "text/plain"}
        try:
            with closing(self._connect()) as connection:
                # Who finds a request too large may say so before it has come, and hear no more of it.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.request("POST", "/write?precision=n", lines, headers)
                answer = connection.getresponse()
                said = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"QuestDB did not take rows of {table.name}: {type(error).__name__}") from error
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refusal(table, answer.status, said)

    def _connect(self) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(self._url.hostname or "", self._url.port or _port(self._url.scheme), timeout=self._timeout)


def _configuration(settings: SeriesSettings) -> str:
    url = urlsplit(settings.questdb_url)
    port = url.port or _port(url.scheme)
    values = {
        "addr": f"{url.hostname}:{port}",
        "username": settings.questdb_user,
        "password": settings.questdb_password,
        "auto_flush": "off",
        # Its own retries give up at once where no connection is had.
        "retry_timeout": "0",
        "request_timeout": str(int(settings.questdb_timeout_seconds * 1000)),
    }
    # A semicolon ends a value, and is written twice inside of one.
    return f"{url.scheme}::" + "".join(f"{name}={value.replace(';', ';;')};" for name, value in values.items())


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 9000


def _adder(table: SeriesTable) -> Callable[[Buffer, Sequence[Any]], None]:
    """What puts a row into the buffer. Symbols go as texts, which the server converts: its own form knows no NUL."""
    columns = table.columns[1:]
    micros = [name for name in columns if name in table.micros]

    def add(buffer: Buffer, row: Sequence[Any]) -> None:
        values = dict(zip(columns, row[1:], strict=True))
        for name in micros:
            if values[name] is not None:
                values[name] //= 1000
        buffer.row(table.name, columns=values, at=TimestampNanos(row[0]))

    return add


def _reason(table: SeriesTable, error: IngressError) -> StoreRefused | StoreUnavailable:
    """Whether the rows are wrong or the store is away. A row's values are not told."""
    text = str(error)
    if error.code in _VALUE_CODES:
        return StoreRefused(f"{table.name}: a value that the protocol cannot carry")
    if error.code == IngressErrorCode.ServerFlushError and _REFUSED.search(text) and "does not exist" not in text:
        return _refused(table, text)
    return StoreUnavailable(f"QuestDB did not take rows of {table.name}: {error.code.name}")


def _refusal(table: SeriesTable, status: int, said: str) -> StoreRefused | StoreUnavailable:
    """The same, of what the server answered itself."""
    try:
        code = str(json.loads(said).get("code", ""))
    except (ValueError, AttributeError):
        code = ""
    if status == HTTPStatus.BAD_REQUEST and code == "invalid" and "does not exist" not in said:
        return _refused(table, said)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # Of a proxy before it; with fewer rows it may let them through.
        return StoreRefused(f"{table.name}: a request of this size is not let through")
    return StoreUnavailable(f"QuestDB did not take rows of {table.name}: {status}")


def _refused(table: SeriesTable, text: str) -> StoreRefused:
    column = _COLUMN.search(text)
    return StoreRefused(f"{table.name}: QuestDB refuses a value" + (f" of {column[1]}" if column else ""))
