"""What a package has of a dependency in another text, because it costs each cold start and serves none.

Nothing that a function can do is changed. Each text is made for the one that was looked at: where a dependency comes
with another, the build fails, and says so.
"""

import ast
import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

_HERE = "infra/local/exchanges.py"
# A licence may ask that a changed file says so (Apache 2.0, 4b), and that its own notice stays (4c).
_NOTICE = f"# Changed for Weir's packages by its {_HERE}, which says what and why.\n"


class Exchange(NamedTuple):
    """Whose module it is, the SHA-256 of the text that was looked at, and what is made of it.

    ``left`` is that of what earlier releases wrote into the installer's cache in its place: that text was ours.
    """

    distribution: str
    digest: str
    text: Callable[[str], str]
    left: str = ""


def exchange(packages: Path, exchanges: Mapping[str, Exchange] | None = None) -> None:
    """Exchange the modules of those dependencies that are there. Raises SystemExit where one is not as it was."""
    for name, one in (_EXCHANGES if exchanges is None else exchanges).items():
        if (packages / Path(name).parts[0]).is_dir():
            _exchange(packages, name, one)


def _exchange(packages: Path, name: str, one: Exchange) -> None:
    module = packages / name
    found = module.read_bytes() if module.is_file() else None
    if found is None or hashlib.sha256(found).hexdigest() not in {one.digest, one.left}:
        raise SystemExit(_mismatch(packages, name, one, found))
    text = found.decode()
    # The installer links what is in its cache: written in place, it would be the text of every environment.
    module.unlink()
    module.write_text(_leading_comment(text) + _NOTICE + one.text(text))


def _leading_comment(text: str) -> str:
    """The copyright and the licence, where a module begins with them."""
    return "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))


def _mismatch(packages: Path, name: str, one: Exchange, found: bytes | None) -> str:
    versions = [each.version for each in distributions(name=one.distribution, path=[str(packages)])]
    told = "is not there" if found is None else f"has the SHA-256 {hashlib.sha256(found).hexdigest()}"
    return (
        f"{name} of {' '.join([one.distribution, *versions])} {told}; {_HERE} was written for {one.digest}.\n"
        f"If the version is another one, see whether the exchange there still holds, and enter the new SHA-256. If it"
        f" is the same, somebody wrote in the installer's cache: `uv cache clean {one.distribution}` gives it back."
    )


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
    return module if name == "api" else getattr(module, name)
"""
_EXCHANGES: Mapping[str, Exchange] = {
    "nats/js/__init__.py": Exchange(
        "nats-py", "803dc20bfb1b18daec3d04ca7da366e67c73e5af389835c2d375d6da6366a864", lambda _: _JETSTREAM_ON_USE
    ),
    "pydantic/plugin/_loader.py": Exchange(
        "pydantic",
        "42eb42a853c5465b1059bb26e4dbff53a4997c5d1437cb36b5f25e4d3c144944",
        lambda _: _NO_PLUGINS,
        left="72a18730f0ac37b27deba021ca833f9213efbb8f49c233ab0ebdb1874770deec",
    ),
    "pydantic_core/core_schema.py": Exchange(
        "pydantic-core", "79546d1a51561f7f92ce3861b342e67d0c1f076d13175e47bda73db71167a867", without_fields
    ),
}
