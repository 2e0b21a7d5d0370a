"""A registry: the schemas of a folder, ``<event>/<major>.<minor>.json``, and ``modes.toml`` beside them.

The folder of an event may have any name; the schema's ``title`` is the event's name. Everything is checked when it is
read, so that a mistake is told at start with its file and place, and not by events.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from schemas.owned.compiling import BadSchema, compiled
from schemas.owned.modes import Modes, Rule
from schemas.owned.versions import Version, parse

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

SHIPPED = Path(__file__).parents[1] / "registry"
MODES_FILE = "modes.toml"
MOST_FILES = 2_000
MOST_BYTES = 256 * 1024
_RULES = re.compile(r"\s*\[\[\s*rules\s*\]\]")
_SLUG = re.compile(r"[^a-z0-9]+")


class RegistryError(ValueError):
    """A registry that cannot be used. Each fault names its file and the place in it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Kept(NamedTuple):
    """One version of one event's schema: the file, what is in it, and the validator made of it."""

    file: str
    document: dict[str, Any]
    validator: "Draft202012Validator"


Versions = Mapping[Version, Kept]


class Registry(NamedTuple):
    """Versions by the event's name, and how strictly each is taken."""

    events: Mapping[str, Versions]
    modes: Modes


def load(folder: Path = SHIPPED) -> Registry:
    """Read a folder; one without any schema is right too. Raises :class:`RegistryError` that names every mistake."""
    if not folder.is_dir():
        raise RegistryError([f"{folder} is no folder"])
    faults: list[str] = []
    events: dict[str, dict[Version, Kept]] = {}
    files = sorted(folder.glob("*/*.json"))
    if len(files) > MOST_FILES:
        raise RegistryError([f"{folder}: {len(files)} schemas, and at most {MOST_FILES} are read"])
    for file in files:
        name = f"{file.parent.name}/{file.name}"
        try:
            title, version, kept = _read(file, name)
        except BadSchema as error:
            faults += [f"{name} {fault}" for fault in error.faults]
            continue
        faults += _doubled(events, title, kept)
        events.setdefault(title, {})[version] = kept
    rules = list(_rules(folder / MODES_FILE, events, faults))
    if faults:
        raise RegistryError(faults)
    return Registry(events, Modes(rules))


def slug(event: str) -> str:
    """A folder's name for an event."""
    return _SLUG.sub("-", event.lower()).strip("-") or "event"


def _read(file: Path, name: str) -> tuple[str, Version, Kept]:
    version = parse(file.stem)
    if version is None:
        raise BadSchema(["is to be named by its version, such as 1.0.json"])
    document = _document(file)
    title = document.get("title")
    if not isinstance(title, str) or not title:
        raise BadSchema(["#/title: is to be the event's name"])
    return title, version, Kept(name, document, compiled(document))


def _document(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadSchema([f"is larger than {MOST_BYTES} bytes"])
        document = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadSchema([f"line {error.lineno}: {error.msg}"]) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise BadSchema([f"cannot be read: {type(error).__name__}"]) from None
    if not isinstance(document, dict):
        raise BadSchema(["is to be a JSON object"])
    return document


def _doubled(events: Mapping[str, Versions], title: str, kept: Kept) -> Iterator[str]:
    """An event is in one folder, and a folder has one event."""
    for other, versions in events.items():
        for known in versions.values():
            same_folder = known.file.split("/")[0] == kept.file.split("/")[0]
            if same_folder != (other == title):
                what = f"is of {title!r}, and {known.file} of {other!r}"
                yield f"{kept.file} #/title: {what}: an event has one folder, and a folder one event"
                return


def _rules(file: Path, events: Mapping[str, Versions], faults: list[str]) -> Iterator[Rule]:
    """The rules of the modes' file that are right; what is wrong with the others goes to ``faults``."""
    if not file.exists():
        return
    try:
        text = file.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{file.name}: {error}")
        return
    faults += [f"{file.name}: {name} is not known; only [[rules]] is" for name in sorted(set(found) - {"rules"})]
    given = found.get("rules", [])
    if not isinstance(given, list):
        faults.append(f"{file.name}: rules are to be [[rules]]")
        return
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _RULES.match(line)]
    seen: set[tuple[str, str]] = set()
    for place, table in enumerate(given):
        at = f"{file.name}:{lines[place] if place < len(lines) else '?'}"
        try:
            rule = Rule.model_validate(table)
        except ValidationError as error:
            faults += [f"{at} {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            continue
        if rule.event and rule.event not in events:
            near = get_close_matches(rule.event, events, 1)
            faults.append(f"{at} event: no schema is of {rule.event!r}{f'; did you mean {near[0]!r}?' if near else ''}")
        if (rule.event, rule.key) in seen:
            faults.append(f"{at}: another rule is about the same event and key")
        seen.add((rule.event, rule.key))
        yield rule
