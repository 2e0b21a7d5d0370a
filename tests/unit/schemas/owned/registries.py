"""Registries to test with: a folder made of documents."""

import json
from pathlib import Path
from typing import Any

from schemas.owned.registry import Registry, load


def written(folder: Path, files: dict[str, Any], modes: str = "") -> Path:
    """The folder with these files; a text is written as it is."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    if modes:
        (folder / "modes.toml").write_text(modes)
    return folder


def of_properties(title: str, **properties: Any) -> dict[str, Any]:
    """A schema of an event with these properties."""
    return {"title": title, "properties": {"properties": {"properties": properties}}}


def registry(folder: Path, files: dict[str, Any], modes: str = "") -> Registry:
    return load(written(folder, files, modes))
