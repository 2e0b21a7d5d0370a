"""What a package has of a dependency in another text, because it costs each cold start and serves none.

Nothing that a function can do is changed. Each text is made for the one that was looked at: where a dependency comes
with another, the build fails, and says so.
"""

import ast
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple


class Exchange(NamedTuple):
    """The SHA-256 of the text that was looked at, and what is made of it."""

    digest: str
    text: Callable[[str], str]


def exchange(packages: Path, exchanges: Mapping[str, Exchange] | None = None) -> None:
    """Exchange the modules of those dependencies that are there. Raises SystemExit where one is not as it was."""
    for name, (digest, text) in (_EXCHANGES if exchanges is None else exchanges).items():
        if (packages / Path(name).parts[0]).is_dir():
            _exchange(packages / name, digest, text)


def _exchange(module: Path, digest: str, text: Callable[[str], str]) -> None:
    found = module.read_text() if module.is_file() else ""
    # A cache in which earlier builds wrote hands out what they made of it.
    if found and text(found) == found:
        return
    if hashlib.sha256(found.encode()).hexdigest() != digest:
        raise SystemExit(f"{module} is not what {__name__} was written for: see whether its text there still holds")
    # The installer links what is in its cache: written in place, it would be the text of every environment.
    module.unlink()
    module.write_text(text(found))


def without_fields(text: str) -> str:
    """A module whose typed dictionaries have no fields: they tell type checkers, and each is compiled at import."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "TypedDict" for base in node.bases):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


# Pydantic looks for plugins when a model is built, which loads importlib.metadata and with it email, csv and zipfile.
_NO_PLUGINS = "def get_plugins():\n    return ()\n"
# The client of NATS loads that of JetStream on import. The functions ask JetStream by messages, and only who asks for
# its client gets it.
_JETSTREAM_ON_USE = """\
from importlib import import_module

__all__ = ["api", "JetStreamManager", "JetStreamContext"]
_MODULES = {"api": "api", "JetStreamManager": "manager", "JetStreamContext": "client"}


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name, module)
"""
_EXCHANGES: Mapping[str, Exchange] = {
    "nats/js/__init__.py": Exchange(
        "803dc20bfb1b18daec3d04ca7da366e67c73e5af389835c2d375d6da6366a864", lambda _: _JETSTREAM_ON_USE
    ),
    "pydantic/plugin/_loader.py": Exchange(
        "42eb42a853c5465b1059bb26e4dbff53a4997c5d1437cb36b5f25e4d3c144944", lambda _: _NO_PLUGINS
    ),
    "pydantic_core/core_schema.py": Exchange(
        "79546d1a51561f7f92ce3861b342e67d0c1f076d13175e47bda73db71167a867", without_fields
    ),
}
