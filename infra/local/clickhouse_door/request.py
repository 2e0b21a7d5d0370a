"""What a request asks for, gathered from its URL, its headers and (for forms) its body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from .errors import BAD_ARGUMENTS, NOT_IMPLEMENTED, DoorError

# Parameters of the HTTP interface itself. Those that mean nothing here are accepted and left out.
_OWN = {
    "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check",
    "wait_end_of_query", "user", "password", "quota_key", "role", "profile", "buffer_size", "stacktrace",
    "client_protocol_version", "compress", "decompress",
}  # fmt: skip
# Settings of the HTTP layer of a real server: the engine knows their names, but nothing in it acts on them.
_OF_THE_HTTP_LAYER = {
    "cancel_http_readonly_queries_on_client_close", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "enable_http_compression", "add_http_cors_header",
}  # fmt: skip
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_FIELD_NAME = re.compile(rb'name="([^"]*)"')
_FILE_NAME = re.compile(rb"filename=")
DEFAULT_SESSION_SECONDS = 60
_MAX_SESSION_SECONDS = 3600


@dataclass(frozen=True)
class Session:
    """The named session a request wants to run in."""

    id: str
    timeout_seconds: int
    must_exist: bool


@dataclass
class Request:
    """One question to the engine, without its body."""

    query: bytes = b""
    database: str = ""
    default_format: str = "TabSeparated"
    query_id: str = ""
    wait_end_of_query: bool = False
    read_only: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    session: Session | None = None


def parse_request(method: str, target: str, headers: Message, form: Mapping[str, str]) -> Request:
    """Read a request's parameters. A byte that is not UTF-8 becomes \\xNN, which ClickHouse reads back."""
    pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True, errors="backslashreplace")
    values = {**dict(pairs), **form}
    for flag in ("compress", "decompress"):
        if values.get(flag, "0") not in ("", "0", "false"):
            raise DoorError(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"{flag}=1 (use Content-Encoding instead)")
    return Request(
        query=values.get("query", "").encode(),
        database=values.get("database") or headers.get("X-ClickHouse-Database") or "",
        default_format=values.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=values.get("query_id") or headers.get("X-ClickHouse-Query-Id") or "",
        wait_end_of_query=_truthy(values.get("wait_end_of_query")),
        read_only=method in ("GET", "HEAD"),
        settings={name: value for name, value in values.items() if _is_setting(name)},
        parameters={name[6:]: value for name, value in values.items() if name.startswith("param_")},
        session=_session(values),
    )


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a multipart form. Files (external tables) are not supported."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise DoorError(BAD_ARGUMENTS, "BAD_ARGUMENTS", "A multipart form without a boundary")
    fields: dict[str, str] = {}
    for part in body.split(b"--" + found.group(1).encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if name is None or _FILE_NAME.search(head):
            raise DoorError(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "External tables in a form")
        fields[name.group(1).decode("utf-8", "backslashreplace")] = value.removesuffix(b"\r\n").decode(
            "utf-8", "backslashreplace"
        )
    return fields


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def _is_setting(name: str) -> bool:
    if name in _OWN or name in _OF_THE_HTTP_LAYER or name.startswith("param_"):
        return False
    if not _SETTING_NAME.match(name):
        raise DoorError(BAD_ARGUMENTS, "BAD_ARGUMENTS", f"{name!r} is no name of a setting")
    return True


def _truthy(value: str | None) -> bool:
    return value not in (None, "", "0", "false")


def _session(values: Mapping[str, str]) -> Session | None:
    if not values.get("session_id"):
        return None
    timeout = values.get("session_timeout") or str(DEFAULT_SESSION_SECONDS)
    if not timeout.isdecimal() or int(timeout) > _MAX_SESSION_SECONDS:
        raise DoorError(BAD_ARGUMENTS, "BAD_ARGUMENTS", f"Invalid session timeout {timeout!r}")
    return Session(values["session_id"], int(timeout), _truthy(values.get("session_check")))
