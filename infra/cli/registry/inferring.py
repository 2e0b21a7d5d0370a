"""Schemas from a file of events: one for each event name, or for one name alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from infra.cli.client import CommandError
from schemas.owned.inference import Samples
from schemas.owned.registry import slug
from schemas.validation import Validator

MOST_NAMES = 200
_AT_A_TIME = 500
_FIRST = "1.0.json"


def infer(lines: Iterable[bytes], only: str) -> tuple[dict[str, dict[str, Any]], int]:
    """The schemas by event name, and how many lines were no valid events. Raises :class:`CommandError`."""
    validator = Validator()
    samples: dict[str, Samples] = {}
    bad = 0
    filled = (line.strip() for line in lines if line.strip())
    while block := list(islice(filled, _AT_A_TIME)):
        for event in validator.check(block).events:
            bad += event is None
            if event is not None and only in ("", event["event_name"]):
                name = event["event_name"]
                samples.setdefault(name, Samples(name)).add(event)
        if len(samples) > MOST_NAMES:
            raise CommandError(f"There are more than {MOST_NAMES} event names; choose one with --name.")
    return {name: one.schema() for name, one in sorted(samples.items())}, bad


def put(made: dict[str, dict[str, Any]], folder: Path) -> list[Path]:
    """Write each as a first version. Raises :class:`CommandError` when one is there already; then none is written."""
    files = {name: folder / slug(name) / _FIRST for name in made}
    if len(set(files.values())) < len(files):
        raise CommandError("Two event names would have one folder; write them one by one, with --name.")
    for name, file in files.items():
        if file.parent.exists():
            raise CommandError(f"{file.parent} is there already; {name!r} was not written, and no other.")
    for name, file in files.items():
        file.parent.mkdir(parents=True)
        file.write_text(text(made[name]), encoding="utf-8")
    return list(files.values())


def text(document: dict[str, Any]) -> str:
    """As a file of the registry holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
