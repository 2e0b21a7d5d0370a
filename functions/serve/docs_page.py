"""The page that shows ``/openapi.json`` to people. It loads nothing from elsewhere."""

from functools import cache
from pathlib import Path


@cache
def html() -> str:
    """The page, read once."""
    return Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
