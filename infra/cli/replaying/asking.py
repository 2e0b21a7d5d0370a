"""From the options of `weir replay` to what is to be replayed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

from functions.measure.replays.request import Filter, Request, Source
from functions.shared.domain import ids, instants
from infra.cli.client import CommandError
from schemas import patch


class Given(NamedTuple):
    """The options that say which events, as they were given."""

    source: str
    since: str
    until: str
    cause: str
    names: Sequence[str]
    key_ids: Sequence[str]
    event_ids: Sequence[str]
    rate: int


def request(given: Given, put: Sequence[str], rename: Sequence[str], drop: Sequence[str]) -> Request:
    """What they ask for. Raises :class:`CommandError`."""
    if given.source not in get_args(Source):
        raise CommandError(f"--source: {given.source!r} is none of {', '.join(get_args(Source))}.")
    for one in given.event_ids:
        if not ids.is_uuid(one):
            raise CommandError(f"--event-id: {one!r} is no UUID.")
    which = Filter(
        _moment("--from", given.since),
        _moment("--to", given.until),
        given.cause,
        given.names,
        given.key_ids,
        [one.lower() for one in given.event_ids],
    )
    operations: list[dict[str, Any]] = [
        *({"op": "set", "path": path, "value": _value(value)} for path, value in map(_pair("--set"), put)),
        *({"op": "rename", "path": path, "to": to} for path, to in map(_pair("--rename"), rename)),
        *({"op": "drop", "path": path} for path in drop),
    ]
    try:
        read = patch.read(json.dumps(operations))
    except patch.PatchError as error:
        raise CommandError(str(error)) from error
    source: Any = given.source
    return Request(source, which, read, given.rate)


def _moment(option: str, text: str) -> int | None:
    if not text:
        return None
    try:
        return instants.from_text(text)
    except ValueError:
        raise CommandError(f"{option}: {text!r} is no RFC 3339 time, such as 2026-01-31T00:00:00Z.") from None


def _pair(option: str) -> Any:
    def read(text: str) -> tuple[str, str]:
        path, found, value = text.partition("=")
        if not found:
            raise CommandError(f"{option}: {text!r} is no path=value.")
        return path, value

    return read


def _value(text: str) -> Any:
    """JSON where it is such; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
