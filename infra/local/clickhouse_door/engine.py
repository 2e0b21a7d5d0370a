"""chDB as the door uses it: one engine, one data folder, a connection of its own for every request.

A chDB connection runs one statement at a time and keeps what SET and USE did. Opening one costs 0.06 ms, so
each request gets a fresh one: requests run side by side and nothing leaks from one to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chdb import _chdb

from .errors import SESSION_IS_LOCKED, SESSION_NOT_FOUND, DoorError, EngineError
from .request import Session

_SESSION_WAIT_SECONDS = 1.0


@dataclass
class _Open:
    """A session's connection, kept between its requests."""

    connection: Any
    expires: float
    turn: threading.Lock = field(default_factory=threading.Lock)
    applied: set[str] = field(default_factory=set)


class Engine:
    """The embedded ClickHouse over one data folder."""

    def __init__(self, data: Path, memory_bytes: int) -> None:
        self._path = str(data)
        # Held open until the end: the engine stops when its last connection closes.
        self._anchor = _connect(f"{self._path}?max_server_memory_usage={memory_bytes}")
        self._sessions: dict[str, _Open] = {}
        self._sessions_guard = threading.Lock()
        row = self._anchor.query("SELECT version(), timezone()", "TabSeparated", params={}).bytes()
        self.version, self.timezone = row.decode().rstrip("\n").split("\t")

    @contextmanager
    def connection(self, database: str, settings: Mapping[str, str], session: Session | None) -> Iterator[Any]:
        """A connection that is the caller's alone, with the database and the settings in place."""
        if session is not None:
            with self._in_session(session) as held:
                _prepare(held.connection, database, settings, held.applied - settings.keys())
                held.applied = set(settings)
                yield held.connection
            return
        connection = _connect(self._path)
        try:
            _prepare(connection, database, settings, set())
            yield connection
        finally:
            connection.close()

    def cancel_all(self) -> None:
        """Tell every running query to stop."""
        self._anchor.query("KILL QUERY WHERE 1 ASYNC", "Null", params={})

    def close(self) -> None:
        for held in self._sessions.values():
            held.connection.close()
        self._anchor.close()

    @contextmanager
    def _in_session(self, session: Session) -> Iterator[_Open]:
        held = self._find_session(session)
        if not held.turn.acquire(timeout=_SESSION_WAIT_SECONDS):
            raise DoorError(SESSION_IS_LOCKED, "SESSION_IS_LOCKED", f"Session {session.id} is locked")
        try:
            yield held
        finally:
            held.expires = time.monotonic() + session.timeout_seconds
            held.turn.release()

    def _find_session(self, session: Session) -> _Open:
        with self._sessions_guard:
            self._drop_expired()
            held = self._sessions.get(session.id)
            if held is None:
                if session.must_exist:
                    raise DoorError(SESSION_NOT_FOUND, "SESSION_NOT_FOUND", f"Session {session.id} not found")
                held = self._sessions[session.id] = _Open(_connect(self._path), 0.0)
            held.expires = time.monotonic() + session.timeout_seconds
            return held

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for name in [name for name, held in self._sessions.items() if held.expires < now]:
            held = self._sessions[name]
            if held.turn.acquire(blocking=False):
                del self._sessions[name]
                held.connection.close()


def _connect(target: str) -> Any:
    try:
        return _chdb.connect(target)  # type: ignore[attr-defined]
    except RuntimeError as error:
        raise EngineError(str(error)) from error


def _prepare(connection: Any, database: str, settings: Mapping[str, str], stale: set[str]) -> None:
    """Choose the database and set the settings; `stale` ones, of the session's last request, go first."""
    changes = [f"{name} = DEFAULT" for name in sorted(stale)]
    changes += [f"{name} = {quoted(value)}" for name, value in settings.items()]
    try:
        if database:
            connection.query(f"USE {quoted(database, '`')}", "Null", params={})
        if changes:
            connection.query(f"SET {', '.join(changes)}", "Null", params={})
    except RuntimeError as error:
        raise EngineError(str(error)) from error


def quoted(text: str, mark: str = "'") -> str:
    """A literal (or, with a backtick, an identifier) with everything in it that could end it escaped."""
    escaped = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return f"{mark}{escaped}{mark}"
