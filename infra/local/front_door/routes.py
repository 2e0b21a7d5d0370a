"""Which paths and methods the API has: read from the template, so that the door and the API cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True)
class Match:
    """The methods of a path, and the function behind each."""

    methods: dict[str, str]

    @property
    def allow(self) -> str:
        names = set(self.methods) | {"OPTIONS"} | ({"HEAD"} if "GET" in self.methods else set())
        return ", ".join(sorted(names))


class Routes:
    """Finds the route of a path."""

    def __init__(self, routes: Iterable[tuple[str, str, str]]) -> None:
        """Take (method, path, function) of each route."""
        self._exact: dict[str, dict[str, str]] = {}
        self._patterns: dict[tuple[str, ...], dict[str, str]] = {}
        for method, path, function in routes:
            if "{" in path:
                self._patterns.setdefault(tuple(path.split("/")), {})[method] = function
            else:
                self._exact.setdefault(path, {})[method] = function

    def find(self, path: str) -> Match | None:
        """The route of a path as it was sent, percent-encoded. A literal path goes before a pattern."""
        if methods := self._exact.get(path):
            return Match(methods)
        segments = path.split("/")
        for pattern, methods in self._patterns.items():
            if len(pattern) == len(segments) and all(map(_fits, pattern, segments)):
                return Match(methods)
        return None


def _fits(pattern: str, segment: str) -> bool:
    if not pattern.startswith("{"):
        return pattern == segment
    # The emulator routes by the decoded path: a decoded slash or dots would lead elsewhere.
    decoded = unquote(segment)
    return bool(decoded) and "/" not in decoded and decoded not in {".", ".."}
