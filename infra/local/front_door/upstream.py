"""Where the emulator's API is now: the stack writes it to a file, anew after each deployment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .routes import Routes


@dataclass(frozen=True)
class Upstream:
    """The URL under which the API's paths begin (None: not deployed yet), and its routes."""

    url: str | None
    routes: Routes


def write(path: Path, url: str | None, routes: list[tuple[str, str, str]]) -> None:
    """Say where the API is. Whole or not at all: the door may read at any moment."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"url": url, "routes": routes}))
    temporary.replace(path)


class UpstreamFile:
    """Reads the file again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._current = Upstream(None, Routes([]))

    def current(self) -> Upstream:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return self._current
        stamp = (stat.st_ino, stat.st_mtime_ns)
        if stamp != self._stamp:
            content = json.loads(self._path.read_text())
            routes = Routes((method, path, function) for method, path, function in content["routes"])
            self._current, self._stamp = Upstream(content["url"], routes), stamp
        return self._current
