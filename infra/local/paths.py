"""Where things are on a laptop."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class MissingTool(RuntimeError):
    """A program that the stack needs is not there."""


def tool(name: str) -> str:
    """The path of a program: beside this interpreter first, then on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise MissingTool(f"{name} is not installed: run `make setup`")
    return found
