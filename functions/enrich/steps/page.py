"""The page an event happened on, split so that it can be grouped by."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from functions.enrich.steps.hosts import is_host
from functions.enrich.steps.step import Columns, Step, flagged, part, text

_LONGEST_URL = 4_096
_LONGEST_TITLE = 1_024
_CACHED = 8_192
_CACHED_URL = 512  # longer ones are split each time, so that hostile ones cannot fill the memory
_CACHED_TITLE = 256
_DEFAULT_PORTS = {"http": 80, "https": 443}
_EMPTY: Columns = {"page_url": "", "page_host": "", "page_path": "", "page_query": "", "page_title": ""}


class _Found(NamedTuple):
    columns: Columns
    flag: str


def page_step() -> Step:
    """The ``page_*`` columns; flags ``page_url_invalid`` (kept, not split) and ``page_url_cut``."""
    cached = lru_cache(maxsize=_CACHED)(_found)

    def run(row: Mapping[str, Any]) -> Columns:
        url, title = _said(row)
        if not url and not title:
            return _EMPTY
        short = len(url) <= _CACHED_URL and len(title) <= _CACHED_TITLE
        columns, flag = cached(url, title) if short else _found(url, title)
        return flagged(row, columns, flag) if flag else columns

    return Step("page", run, _EMPTY)


def _said(row: Mapping[str, Any]) -> tuple[str, str]:
    """URL and title, of ``context.page``, or where a client without a page object puts them."""
    context = row["context"]
    page = part(context, "page")
    title, url = page.get("title"), page.get("url")
    if type(url) is str and type(title) is str and url:
        return url, title
    for place in (page, row["properties"], context):
        url = place.get("url")
        if url and isinstance(url, str):
            return url, title if isinstance(title, str) else ""
    return "", title if isinstance(title, str) else ""


def _found(url: str, title: str) -> _Found:
    kept = text(url, _LONGEST_URL)
    columns = {**_EMPTY, "page_url": kept, "page_title": text(title, _LONGEST_TITLE)}
    if not kept:
        return _Found(columns, "")
    parts = _split(kept)
    if parts is None:
        return _Found(columns, "page_url_invalid")
    columns |= parts
    return _Found(columns, "page_url_cut" if len(url.strip()) > len(kept) else "")


def _split(url: str) -> dict[str, str] | None:
    """Host, path and query of a URL, or of one without its scheme or host; None where it is not of a page."""
    try:
        parts = urlsplit(url)
        if not parts.scheme and not parts.netloc and not url.startswith(("/", "?")):
            parts = urlsplit("//" + url)
        host = _host(parts)
    except ValueError:
        return None
    if host is None or (parts.scheme and not host and not _may_lack_host(parts)):
        return None
    return {"page_host": host, "page_path": parts.path or "/", "page_query": parts.query}


def _may_lack_host(parts: SplitResult) -> bool:
    """A file or an app's own scheme may; ``http:`` may not, nor what is no hierarchy at all (``javascript:``)."""
    return parts.scheme not in _DEFAULT_PORTS and parts.path.startswith("/")


def _host(parts: SplitResult) -> str | None:
    """The host in lower case with a port that is not the scheme's own; None where it cannot be a host."""
    name = (parts.hostname or "").rstrip(".")
    if not name:
        return "" if not parts.netloc else None
    if not is_host(name):
        return None
    name = f"[{name}]" if ":" in name else name
    port = parts.port
    return name if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f"{name}:{port}"
