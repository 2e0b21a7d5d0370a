"""Lines of an Apache or nginx log (common or combined) as events.

| the line | the event |
|---|---|
| status 400 and up, or a request that is none | `http_error` |
| any method but GET | `http_request` |
| GET of a style sheet, script, image, font, sound or film | `asset_request` |
| every other GET | `page_view` |

`event_name` is the path without its query, cut at 256 characters; `properties.path` has all of it. The page's URL is
the site's and has the query as well. The time keeps the log's offset. A user agent the log has as `-` is sent as `-`:
left out, the importer's own would take its place. A line that cannot be read is sent without `event_name`, with all
that could be read and the line itself in `properties.raw`: Weir stores it as `failed`, so that no line is lost.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

from infra.cli.importing.identity import RAW_CHARACTERS, as_json, clipped, line_id

_NAME_CHARACTERS = 256
_USER_CHARACTERS = 256
_FIRST_ERROR = 400
_ASSET = re.compile(
    r"\.(?:css|m?js|map|png|ico|jpe?g|gif|svg|webp|avif|bmp|woff2?|ttf|otf|eot|mp3|ogg|wav|mp4|webm)\Z", re.IGNORECASE
)
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# Each part only after the one before, so that the pattern also reads as much as there is of a line that was cut.
_LINE = re.compile(
    r"(?P<ip>\S+) \S+ (?P<user>.+?) \[(?P<time>[^\]]+)\]"
    rf"(?: {_QUOTED.replace('(', '(?P<request>', 1)}"
    r"(?: (?P<status>\d{3}) (?P<bytes>\d+|-)"
    rf"(?P<combined> {_QUOTED.replace('(', '(?P<referrer>', 1)}(?: {_QUOTED.replace('(', '(?P<agent>', 1)}"
    r"(?P<more>(?: .*)?))?)?)?)?"
)
_TIME = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ESCAPED = re.compile(r'\\(["\\])')
_REQUEST = re.compile(r"([A-Za-z]+) (\S.*?)(?: (HTTP/[0-9.]+))?\Z")


def event(line: bytes, sha256: str, number: int, site: str) -> bytes:
    """A line as the event to send."""
    text = line.decode("utf-8", "backslashreplace")
    own = line_id(sha256, number)
    found = parse(text, site)
    return as_json({"event_id": own, **(found if found is not None else salvage(text, site))})


def parse(text: str, site: str) -> dict[str, Any] | None:
    """The event of a whole line, without its id; None when the line cannot be read."""
    match = _LINE.match(text)
    if match is None or match["status"] is None:
        return None
    whole = match["agent"] is not None if match["combined"] is not None else match.end() == len(text)
    timestamp = _timestamp(match["time"])
    if not whole or timestamp is None:
        return None
    return _event(match, timestamp, site)


def salvage(text: str, site: str) -> dict[str, Any]:
    """What can be read of a line that is not whole, as an event that will be stored as failed."""
    match = _LINE.match(text)
    timestamp = _timestamp(match["time"]) if match else None
    found: dict[str, Any] = {"event_type": "http_error", "platform": "web", "context": {"user_agent": "-"}}
    if match is not None:
        found = _event(match, timestamp, site)
        del found["event_name"]
    found["properties"] = {**found.get("properties", {}), "raw": clipped(text, RAW_CHARACTERS)}
    return found


def _event(match: re.Match[str], timestamp: str | None, site: str) -> dict[str, Any]:
    request = _text(match["request"])
    status = int(match["status"]) if match["status"] else None
    parts = _REQUEST.match(request)
    method, target, protocol = parts.groups() if parts else ("", "", None)
    path, url = _place(target, site)
    page = {"url": url, "referrer": _text(match["referrer"])}
    said = {"method": method, "status": status, "bytes": _bytes(match["bytes"]), "protocol": protocol, "path": path}
    properties = {name: value for name, value in said.items() if value not in (None, "")}
    found: dict[str, Any] = {
        "event_type": _type(method, path, status),
        "event_name": clipped(path or request, _NAME_CHARACTERS) or "-",
        "platform": "web",
        "timestamp": timestamp,
        "user_id": _user(match["user"]),
        "context": {
            "ip": match["ip"],
            "user_agent": _text(match["agent"]) or "-",
            "page": {name: value for name, value in page.items() if value},
        },
        "properties": properties if path else {**properties, "request": request},
    }
    return {name: value for name, value in found.items() if value is not None}


def _type(method: str, path: str, status: int | None) -> str:
    if not method or (status or 0) >= _FIRST_ERROR:
        return "http_error"
    if method != "GET":
        return "http_request"
    return "asset_request" if _ASSET.search(path) else "page_view"


def _place(target: str, site: str) -> tuple[str, str]:
    """The path and the whole URL of what was asked for: a path, an absolute URL, or something else like `*`."""
    if target.startswith("/"):
        return target.partition("?")[0].partition("#")[0], f"http://{site}{target}"
    scheme, found, rest = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        host, slash, path = rest.partition("/")
        return (slash + path).partition("?")[0].partition("#")[0] or "/", target if host else ""
    return target, ""


def _timestamp(said: str) -> str | None:
    """`18/May/2015:11:05:47 +0200` as RFC 3339, its offset kept."""
    match = _TIME.match(said)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[index]) for index in (1, 3, 4, 5, 6))
    ahead = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        zone = timezone(ahead if match[7] == "+" else -ahead)
        at = datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return at.isoformat()


def _text(said: str | None) -> str:
    """A quoted part: Apache escapes quotes and backslashes; what it wrote as \\xhh stays so. `-` is nothing."""
    return "" if said is None or said == "-" else _ESCAPED.sub(r"\1", said)


def _bytes(said: str | None) -> int | None:
    return int(said) if said and said != "-" else 0 if said else None


def _user(said: str) -> str | None:
    return None if said in ("-", '""') or len(said) > _USER_CHARACTERS else said
